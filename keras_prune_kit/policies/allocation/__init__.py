"""Allocation answers one question: which layers get how much of the sparsity?"""

from keras_prune_kit.policies.allocation.allocate import allocate
from keras_prune_kit.policies.allocation.sensitivity import sensitivity

__all__ = ["allocate", "sensitivity"]
