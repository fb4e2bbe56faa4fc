"""The arguments of `compress`, checked."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_prune_kit._keras.datasets import fit_arguments, steps_per_epoch
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.policies import described
from keras_prune_kit.reports import Allowance


@dataclass(frozen=True)
class Recipe:
    """The arguments of `compress`, checked; its docstring says what each means."""

    model: Any
    train_data: Any
    validation_data: Any
    representative_data: Any
    epochs: int
    batch_size: int | None
    callbacks: Sequence[Any]
    verbose: int | str
    objective: str | None = None
    mode: str = "auto"

    @functools.cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of all models and files on the validation data."""
        return Evaluation(
            self.validation_data, self.model, objective=self.objective, mode=self.mode
        )

    def allowance(self, max_drop: float) -> Allowance:
        """Return the accepted drop of the metric from that of the model.

        Args:
            max_drop: The largest accepted drop.
        """
        baseline = self.evaluation.keras(self.model)[self.evaluation.metric]
        return Allowance(baseline, max_drop, self.evaluation.known_mode())

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """The arguments of `fit`, without callbacks."""
        return {
            **fit_arguments(self.train_data),
            "validation_data": self.validation_data,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "verbose": self.verbose,
        }

    def steps(self, epochs: int) -> int | None:
        """Return the number of optimizer steps in some epochs; `None` if unknown."""
        each = steps_per_epoch(self.train_data, self.batch_size)
        return None if each is None else epochs * each

    def settings(self, policy: Any, quantization: str | None) -> dict[str, Any]:
        """Return the arguments that repeat this job, as plain data for the report."""
        return {
            "policy": policy if policy is None else described(policy),
            "quantization": quantization,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "objective": self.objective,
            "mode": self.mode,
        }


def with_deciding_metric(recipe: Recipe, target: str) -> Recipe:
    """Return the job with a metric that decides, if possible one of mode `"max"`."""
    evaluation = recipe.evaluation
    if recipe.objective is not None:
        return recipe
    if evaluation.metric == "loss":
        raise ValueError(
            f"target='{target}' needs a metric to hold: compile the model with "
            f"metrics=['accuracy']. Received: model '{recipe.model.name}' with only a "
            "loss. To hold the loss instead, pass objective='loss'."
        )
    if recipe.mode != "auto":
        return recipe
    rising = [name for name in evaluation.metrics if evaluation.mode_of(name) == "max"]
    return replace(recipe, objective=rising[0]) if rising else recipe
