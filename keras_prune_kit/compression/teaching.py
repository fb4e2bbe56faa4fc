"""What attempts learn: half of each label is what the dense model says."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.datasets import input_samples, labelled_samples
from keras_prune_kit.compression.distillation import are_probabilities, soft_targets
from keras_prune_kit.compression.lessons import Lessons
from keras_prune_kit.compression.recipe import Job

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
        metric: The metric that is to hold.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"max"`.
    """

    def __init__(self, job: Job, metric: str, mode: str = "max") -> None:
        self._model = job.model
        self._world = _keras.world(job.model)
        self._changes: dict[str, Any] = {}
        self.lessons = Lessons(job.train_data, job.validation_data, metric, mode)
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
        samples = input_samples(job.validation_data, _SAMPLES)
        outputs = np.asarray(job.model.predict(samples, verbose=0))
        is_binary, are_logits = outputs.shape[-1] == 1, not are_probabilities(outputs)
        is_plain = _keras.is_plain_accuracy(job.model, self.lessons.metric)
        keeps_form = is_binary or _are_rows(job.validation_data, outputs)
        if not keeps_form and not is_plain:
            return  # The metric that decides knows the labels as they are alone.
        losses = self._world.losses
        loss = (
            losses.BinaryCrossentropy if is_binary else losses.CategoricalCrossentropy
        )
        self._changes["loss"] = loss(from_logits=are_logits)
        metric, mode = self.lessons.metric, self.lessons.mode
        if is_plain:
            metric, mode = "accuracy", "max"
            self._changes |= self._accuracy(is_binary, are_logits)
        self.lessons = Lessons(train_data, validation_data, metric, mode)

    def _accuracy(self, is_binary: bool, are_logits: bool) -> dict[str, Any]:
        """What to compile with in place of an accuracy of class numbers."""
        metrics, threshold = self._world.metrics, 0.0 if are_logits else 0.5
        accuracy = (
            metrics.BinaryAccuracy("accuracy", threshold=threshold)
            if is_binary
            else metrics.CategoricalAccuracy("accuracy")
        )
        return {"metrics": [accuracy], "weighted_metrics": None}

    def _first_rate(self) -> float:
        """The model's own rate if it is a small one, as for a model trained before."""
        try:
            rate = float(_keras.optimizer_of(self._model).learning_rate)
        except TypeError:  # a schedule
            return _RATE
        return rate if _LEAST_RATE <= rate <= _RATE else _RATE


def _are_rows(data: Any, outputs: np.ndarray) -> bool:
    """Whether labels are rows like the outputs, such as one-hot ones."""
    labelled = labelled_samples(data, len(outputs))
    return labelled is not None and np.shape(labelled[1]) == outputs.shape


def _loss_name(model: Any) -> str:
    loss = model.loss
    if isinstance(loss, str):
        return loss
    return getattr(loss, "name", None) or getattr(loss, "__name__", "")
