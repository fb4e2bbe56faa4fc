"""Policies: the assignment of schedules, structures and criteria to layers."""

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
    "Match",
    "PlannedWeight",
    "PrunePlan",
    "PrunePolicy",
    "Rule",
    "as_policy",
    "check_structure",
    "choose_weights",
    "covered_layers",
    "described",
]
