"""Policies answer one question: which layers get which schedule and structure?"""

from keras_prune_kit.policies.choice import choose_weights
from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.policies.policy import Assignment, PrunePolicy, as_policy
from keras_prune_kit.policies.rule import Match, Rule, covered_layers

__all__ = [
    "Assignment",
    "Match",
    "PlannedWeight",
    "PrunePlan",
    "PrunePolicy",
    "Rule",
    "as_policy",
    "choose_weights",
    "covered_layers",
]
