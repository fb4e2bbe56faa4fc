"""Policies answer one question: which layers get which schedule and structure?"""

from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.policies.policy import Assignment, PrunePolicy, as_policy
from keras_prune_kit.policies.rule import Rule

__all__ = [
    "Assignment",
    "PlannedWeight",
    "PrunePlan",
    "PrunePolicy",
    "Rule",
    "as_policy",
]
