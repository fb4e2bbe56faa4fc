"""Allocation: the distribution of a model's sparsity over its layers."""

from keras_prune_kit.policies.allocation.allocate import allocate
from keras_prune_kit.policies.allocation.sensitivity import sensitivity

__all__ = ["allocate", "sensitivity"]
