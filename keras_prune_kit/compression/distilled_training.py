"""The fine-tuning of a search, on soft targets of the dense model if possible."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    fit_arguments,
    input_samples,
    labelled_samples,
)
from keras_prune_kit.compression.distillation import soft_targets
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.compression.recipe import Recipe

_CROSS_ENTROPIES = (
    *("sparse_categorical_crossentropy", "categorical_crossentropy"),
    "binary_crossentropy",
)
_RATE = 1e-3  # Adam's default.
_LEAST_RATE = 1e-5
_RATE_WITHOUT_END = 3e-4  # Of unknown length, it cannot decay.
_SAMPLES = 64


@dataclass(frozen=True)
class DistilledTraining(FineTuning):
    """Fine-tuning by Adam with a cosine learning rate, on soft targets if possible.

    Only a classifier with one output and a cross-entropy loss learns from soft targets,
    that is labels mixed with the dense model's outputs; any other learns from its
    labels.

    Attributes:
        recipe: The job, with the dense model in it.
        changes: Arguments of `compile` that differ from the model's own.
    """

    recipe: Recipe = field(kw_only=True)
    changes: dict[str, Any] = field(kw_only=True)

    @classmethod
    def of(
        cls, recipe: Recipe, metric: str, mode: str | None = "max"
    ) -> DistilledTraining:
        """Return the training for all attempts at a job.

        Args:
            recipe: The job.
            metric: The metric that must hold.
            mode: `"max"` if more of it is better, `"min"` if less is; `None` if that
                is unknown: then the loss decides. Defaults to `"max"`.
        """
        plain = cls(
            recipe.fit_arguments,
            metric,
            mode,
            recipe.callbacks,
            recipe=recipe,
            changes={},
        )
        if _loss_name(recipe.model) in _CROSS_ENTROPIES:
            try:
                return plain._softened()
            except (TypeError, ValueError):
                pass  # Several outputs, or data in another form: plain labels.
        return plain

    def prepare(self, model: Any) -> None:
        """Compile a copy with a learning rate schedule for its number of steps."""
        optimizers = _keras.world(self.recipe.model).optimizers
        rate: Any = _RATE_WITHOUT_END
        steps = self.recipe.steps(self.epochs)
        if steps is not None:
            # A schedule per copy, as attempts differ in their number of steps.
            first = _first_rate(self.recipe.model)
            rate = optimizers.schedules.CosineDecay(first, steps)
        changes = {**self.changes, "optimizer": optimizers.Adam(rate)}
        _keras.compile_like(self.recipe.model, model, **changes)

    def _softened(self) -> DistilledTraining:
        recipe = self.recipe
        model, validation_data = recipe.model, recipe.validation_data
        train_targets = soft_targets(model, recipe.train_data)
        # Weight 0 only converts the labels to the form of the targets.
        validation_targets = soft_targets(model, validation_data, weight=0.0)
        samples = input_samples(validation_data, _SAMPLES)
        outputs = np.asarray(model.predict(samples, verbose=0))
        is_binary, are_logits = (
            outputs.shape[-1] == 1,
            not _keras.are_probabilities(outputs),
        )
        is_plain = _keras.is_plain_accuracy(model, self.metric)
        if not (is_binary or _are_rows(validation_data, outputs) or is_plain):
            return self  # The deciding metric does not accept soft targets.
        losses = _keras.world(model).losses
        loss = (
            losses.BinaryCrossentropy if is_binary else losses.CategoricalCrossentropy
        )
        changes: dict[str, Any] = {"loss": loss(from_logits=are_logits)}
        metric, mode = self.metric, self.mode
        if is_plain:
            metric, mode = "accuracy", "max"
            changes |= _accuracy(model, is_binary, are_logits)
        arguments = {
            **self.arguments,
            **fit_arguments(train_targets),
            "validation_data": validation_targets,
        }
        return replace(
            self, arguments=arguments, metric=metric, mode=mode, changes=changes
        )


def _accuracy(model: Any, is_binary: bool, are_logits: bool) -> dict[str, Any]:
    """Return metrics for soft targets in place of an accuracy of class numbers."""
    # A probability of 0.5 is a logit of 0.
    metrics, threshold = _keras.world(model).metrics, 0.0 if are_logits else 0.5
    accuracy = (
        metrics.BinaryAccuracy("accuracy", threshold=threshold)
        if is_binary
        else metrics.CategoricalAccuracy("accuracy")
    )
    # Other metrics of the model may not accept soft targets.
    return {"metrics": [accuracy], "weighted_metrics": None}


def _first_rate(model: Any) -> float:
    """Return the model's own learning rate if it is small enough for fine-tuning."""
    try:
        rate = float(_keras.optimizer_of(model).learning_rate)
    except TypeError:  # A schedule.
        return _RATE
    return rate if _LEAST_RATE <= rate <= _RATE else _RATE


def _are_rows(data: Any, outputs: np.ndarray) -> bool:
    """Return True if labels are rows like the outputs, such as one-hot ones."""
    labelled = labelled_samples(data, len(outputs))
    return labelled is not None and np.shape(labelled[1]) == outputs.shape


def _loss_name(model: Any) -> str:
    loss = model.loss
    if isinstance(loss, str):
        return loss
    return getattr(loss, "name", None) or getattr(loss, "__name__", "")
