"""The pruner, which applies a policy to a model step by step."""

from keras_prune_kit.pruner.errors import (
    DivergedError,
    IncompletePruningError,
    IncompletePruningWarning,
    LoraMergeWarning,
    MaskNotAppliedWarning,
    ZerosGrowBackWarning,
    check_on_incomplete,
)
from keras_prune_kit.pruner.merge_lora import merge_lora
from keras_prune_kit.pruner.pruner import Pruner, active_pruner

__all__ = [
    "DivergedError",
    "IncompletePruningError",
    "IncompletePruningWarning",
    "LoraMergeWarning",
    "MaskNotAppliedWarning",
    "Pruner",
    "ZerosGrowBackWarning",
    "active_pruner",
    "check_on_incomplete",
    "merge_lora",
]
