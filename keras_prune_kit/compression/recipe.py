"""What is to be done, and with what."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.datasets import batch_count, length
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.policies import described
from keras_prune_kit.tflite import TFLiteModel, export_tflite

_KERAS_BATCH = 32

LATENCY_RUNS = 20


@dataclass(frozen=True)
class Job:
    """What `compress` was given, checked; its arguments say what each means."""

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
        """What scores all models and files, on the validation data."""
        return Evaluation(
            self.validation_data, self.model, objective=self.objective, mode=self.mode
        )

    @property
    def fit_options(self) -> dict[str, Any]:
        """What each `fit` is told beside its data, epochs and callbacks."""
        return {"batch_size": self.batch_size, "verbose": self.verbose}

    def steps(self, epochs: int) -> int | None:
        """The steps of some epochs; `None` if nobody knows."""
        if isinstance(self.train_data, tuple):
            batch = self.batch_size or _KERAS_BATCH
            return epochs * math.ceil(length(self.train_data[0]) / batch)
        count = batch_count(self.train_data)
        return None if count is None else epochs * count

    def export(self, model: Any, quantization: str) -> TFLiteModel:
        """The model as a .tflite; calibrated unless it has learned its ranges."""
        data = self.representative_data
        if _keras.is_quantization_aware(model):
            data = None
        return export_tflite(model, quantization=quantization, representative_data=data)

    def settings(self, policy: Any, quantization: str | None) -> dict[str, Any]:
        """What to say to `compress` again."""
        return {
            "policy": policy if policy is None else described(policy),
            "quantization": quantization,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "objective": self.objective,
            "mode": self.mode,
        }


def number_name(quantization: str) -> str:
    """What a quantization is called in the name of a file's row."""
    return "float32" if quantization == "none" else quantization
