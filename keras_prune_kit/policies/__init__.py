"""Policies: the assignment of schedules, structures and criteria to layers."""

from keras_prune_kit.policies.layer_bits import (
    LayerBits,
    WeightBits,
    bits_of_layers,
    check_weight_bits,
)
from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.policies.policy import (
    Assignment,
    PrunePolicy,
    as_policy,
    described,
)
from keras_prune_kit.policies.rule import (
    Match,
    Rule,
    check_structure,
    covered_layers,
)
from keras_prune_kit.policies.selection import choose_weights

__all__ = [
    "Assignment",
    "LayerBits",
    "Match",
    "PlannedWeight",
    "PrunePlan",
    "PrunePolicy",
    "Rule",
    "WeightBits",
    "as_policy",
    "bits_of_layers",
    "check_structure",
    "check_weight_bits",
    "choose_weights",
    "covered_layers",
    "described",
]
