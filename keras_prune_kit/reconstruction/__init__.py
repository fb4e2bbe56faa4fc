"""Pruning without training: what is left of each kernel is solved anew.

`symmetric`, `statistics`, `solving`, `obs`, `cheapest_bits`, `layouts` and `patches`
are pure numpy; `kernels` reads layers, `walk`, `repair` and `passes` go along a model.
"""

from keras_prune_kit.reconstruction.batch_norm import reestimate_batch_norm
from keras_prune_kit.reconstruction.distill import distill
from keras_prune_kit.reconstruction.fewest_bits import fewest_bits
from keras_prune_kit.reconstruction.prune_at_once import (
    policy_at_once,
    prune_at_once,
    rounded_after_pruning,
    rounded_copy,
)
from keras_prune_kit.reconstruction.reconstruct import reconstruct

__all__ = [
    "distill",
    "fewest_bits",
    "policy_at_once",
    "prune_at_once",
    "reconstruct",
    "reestimate_batch_norm",
    "rounded_after_pruning",
    "rounded_copy",
]
