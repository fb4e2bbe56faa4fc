"""The whole job of `compress` on arguments that are checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import input_samples, labelled_samples
from keras_prune_kit._tools.checks import is_number, using
from keras_prune_kit._tools.quantizations import CALIBRATION_SAMPLES, COMPARED
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.compression.budgets import thinning_for_macs, thinning_for_speedup
from keras_prune_kit.compression.fastest import find_fastest
from keras_prune_kit.compression.prune_once import prune_once
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.scales import warn_of_other_scales
from keras_prune_kit.compression.smallest import find_smallest
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.reconstruction import policy_at_once
from keras_prune_kit.reports import CompressionReport
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.worker import on_tensorflow

SPARSITY = 0.8
_QUANTIZATION = "int8"

# Enough to find a wrong shape or label before training.
_TRIED_SAMPLES = 8


@dataclass(frozen=True)
class Goal:
    """The arguments of `compress` that decide how small or fast the file gets."""

    policy: PrunePolicy | None
    quantization: str | None
    target: str | None
    max_accuracy_drop: float
    speedup: float | None
    macs: float | None
    multiple_of: int

    @property
    def loses_channels(self) -> bool:
        """True if channels leave the model before its weights are zeroed."""
        has_budget = self.speedup is not None or self.macs is not None
        return self.target == "fastest" or has_budget


def policy_for(policy: PrunePolicy | Schedule | float, epochs: int) -> PrunePolicy:
    """Return the policy of a job: of a final sparsity, one ranking of all layers.

    Args:
        policy: A policy, a schedule or a final sparsity.
        epochs: Epochs of fine-tuning; 0 to prune at once.
    """
    is_at_once = is_number(policy) or not epochs
    return policy_at_once(policy) if is_at_once else as_policy(policy)


@on_tensorflow
def reach(model: Any, recipe: Recipe, goal: Goal) -> CompressionReport:
    """Check that the model and the data fit together, and do the job.

    Args:
        model: The model of the recipe.
        recipe: The job.
        goal: What is to be reached.
    """
    inputs = {"representative_data": recipe.representative_data}
    if goal.loses_channels:
        Thinning(0.5, goal.multiple_of).check(model)  # Raises if no channel can leave.
    if recipe.representative_data is None and goal.quantization in (None, *COMPARED):
        with using("train_data"):
            samples = input_samples(recipe.train_data, CALIBRATION_SAMPLES)
        recipe = replace(recipe, representative_data=samples)
        inputs = {"train_data": samples}
    elif isinstance(recipe.train_data, tuple):
        inputs["train_data"] = input_samples(recipe.train_data, CALIBRATION_SAMPLES)
    _check_copy(model, recipe.train_data)
    _check_fits(model, recipe.train_data, "train_data")
    _check_fits(model, recipe.validation_data, "validation_data")
    # The caller of `compress`, behind the decorator and `compress` itself.
    warn_of_other_scales(model, recipe.validation_data, inputs, stacklevel=4)
    policy, max_drop = goal.policy, goal.max_accuracy_drop
    numbers = goal.quantization or _QUANTIZATION
    if goal.target == "smallest":
        return find_smallest(recipe, policy, goal.quantization, max_drop)
    if goal.target == "fastest":
        return find_fastest(recipe, policy, numbers, max_drop, goal.multiple_of)
    thinning = None
    if goal.macs is not None:
        thinning = thinning_for_macs(model, goal.macs, goal.multiple_of)
    elif goal.speedup is not None:
        thinning = thinning_for_speedup(recipe, numbers, goal.speedup, goal.multiple_of)
    else:
        policy = policy or policy_for(SPARSITY, recipe.epochs)
    return prune_once(recipe, Setting(policy, numbers, thinning=thinning))


def _check_fits(model: Any, data: Any, name: str) -> None:
    """Evaluate the model on a few samples, unless the data can be read only once."""
    count = _keras.fixed_batch(model) or _TRIED_SAMPLES
    with using(name, remedy=lambda: _form_for(model, name)):
        labelled = labelled_samples(data, count)
        if labelled is not None:
            x, y = labelled
            # Evaluation moves the states of stateful layers; the model must stay as it
            # was.
            with _keras.at_rest(model):
                model.evaluate(x, y, batch_size=count, verbose=0)


def _form_for(model: Any, name: str) -> str:
    """Return the form of data that a model takes."""
    takes = " and ".join(item.shape_text for item in _keras.signature_of(model).inputs)
    return f"{name} are (x, y), and the model takes x as {takes}."


def _check_copy(model: Any, train_data: Any) -> None:
    """Check that a copy of the model computes the same on a few samples."""
    copied = _keras.copy_model(model)
    if isinstance(train_data, Iterator):
        return
    # Such an error is about the model, not about the data.
    with using("train_data", _keras.CopyError, lambda: _form_for(model, "train_data")):
        count = _keras.fixed_batch(model) or _TRIED_SAMPLES
        _keras.check_copy(model, copied, input_samples(train_data, count))
