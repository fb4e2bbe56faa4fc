"""What attempts learn: half of each label is what the dense model says."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.compression.job import Job
from keras_prune_kit.compression.lessons import Lessons
from keras_prune_kit.datasets import input_samples
from keras_prune_kit.distillation import are_probabilities, soft_targets

_CROSS_ENTROPIES = (
    *("sparse_categorical_crossentropy", "categorical_crossentropy"),
    "binary_crossentropy",
)
_RATE = 1e-3
_LEAST_RATE = 1e-5
_RATE_WITHOUT_END = 3e-4
_SAMPLES = 64


class Teaching:
    """The data and the way of training of all attempts.

    A classifier with one output and a cross-entropy learns from soft targets; any other
    model from its labels, as it did before.

    Args:
        job: What is asked for.
        metric: The accuracy that is to hold.
    """

    def __init__(self, job: Job, metric: str) -> None:
        self._model = job.model
        self._world = _keras.world(job.model)
        self._changes: dict[str, Any] = {}
        self.lessons = Lessons(job.train_data, job.validation_data, metric)
        if _loss_name(job.model) in _CROSS_ENTROPIES:
            try:
                self._soften(job)
            except (TypeError, ValueError):
                pass  # Several outputs, or data that come otherwise: labels it is.

    def compile(self, model: Any, steps: int | None) -> None:
        """Prepares a model for some steps of training."""
        rate: Any = _RATE_WITHOUT_END
        if steps is not None:
            schedules = self._world.optimizers.schedules
            rate = schedules.CosineDecay(self._first_rate(), steps)
        optimizer = self._world.optimizers.Adam(rate)
        changes = {**self._changes, "optimizer": optimizer}
        _keras.compile_like(self._model, model, **changes)

    def _soften(self, job: Job) -> None:
        train_data = soft_targets(job.model, job.train_data)
        # In the same form, but nothing in it is the teacher's.
        validation_data = soft_targets(job.model, job.validation_data, weight=0.0)
        self.lessons = Lessons(train_data, validation_data, "accuracy")
        samples = input_samples(job.validation_data, _SAMPLES)
        outputs = np.asarray(job.model.predict(samples, verbose=0))
        is_binary, are_logits = outputs.shape[-1] == 1, not are_probabilities(outputs)
        losses, metrics = self._world.losses, self._world.metrics
        loss = (
            losses.BinaryCrossentropy if is_binary else losses.CategoricalCrossentropy
        )
        threshold = 0.0 if are_logits else 0.5
        self._changes = {
            "loss": loss(from_logits=are_logits),
            "metrics": [
                metrics.BinaryAccuracy("accuracy", threshold=threshold)
                if is_binary
                else metrics.CategoricalAccuracy("accuracy")
            ],
            "weighted_metrics": None,
        }

    def _first_rate(self) -> float:
        """The model's own rate if it is a small one, as for a model trained before."""
        try:
            rate = float(_keras.optimizer_of(self._model).learning_rate)
        except TypeError:  # a schedule
            return _RATE
        return rate if _LEAST_RATE <= rate <= _RATE else _RATE


def _loss_name(model: Any) -> str:
    loss = model.loss
    if isinstance(loss, str):
        return loss
    return getattr(loss, "name", None) or getattr(loss, "__name__", "")
