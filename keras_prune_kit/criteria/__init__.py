"""Criteria: functions that score how much each weight matters.

A criterion is a function from weights to scores of the same shape; the weights with the
lowest scores are pruned first. A weight that is zero already must score lowest, so that
pruned weights stay pruned. A criterion that needs gradients of the loss declares which
with `needs_gradients`, and receives them as its second argument; one that needs the
inputs that the weights are multiplied by declares it with `needs_inputs`.

Every public function of this folder whose first parameter is named `weights` is a
criterion of the package: listed here, policies with it can be serialized, and the tests
of all criteria run on it.
"""

from keras_prune_kit.criteria.declaring import (
    Criterion,
    GradientsNeeded,
    InputsNeeded,
    gradients_needed,
    inputs_needed,
    is_criterion,
    needs_gradients,
    needs_inputs,
    scored_by,
)
from keras_prune_kit.criteria.of_gradients import (
    movement,
    optimal_brain_damage,
    taylor,
)
from keras_prune_kit.criteria.of_inputs import (
    optimal_brain_surgeon,
    removal_costs,
    wanda,
)
from keras_prune_kit.criteria.of_weights import (
    RandomScores,
    lamp,
    magnitude,
    random_scores,
)

__all__ = [
    "Criterion",
    "GradientsNeeded",
    "InputsNeeded",
    "RandomScores",
    "gradients_needed",
    "inputs_needed",
    "is_criterion",
    "lamp",
    "magnitude",
    "movement",
    "needs_gradients",
    "needs_inputs",
    "optimal_brain_damage",
    "optimal_brain_surgeon",
    "random_scores",
    "removal_costs",
    "scored_by",
    "taylor",
    "wanda",
]
