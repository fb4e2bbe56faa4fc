"""The pruner, which applies a policy to a model step by step."""

from keras_prune_kit.pruner.errors import (
    DivergedError,
    IncompletePruningError,
    IncompletePruningWarning,
    MaskNotAppliedWarning,
    ZerosGrowBackWarning,
    check_on_incomplete,
)
from keras_prune_kit.pruner.pruner import Pruner, active_pruner

__all__ = [
    "DivergedError",
    "IncompletePruningError",
    "IncompletePruningWarning",
    "MaskNotAppliedWarning",
    "Pruner",
    "ZerosGrowBackWarning",
    "active_pruner",
    "check_on_incomplete",
]
