"""One attempt: a copy of the model, pruned and quantized to one setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.compression.job import Job
from keras_prune_kit.compression.prune_once import pruning_for
from keras_prune_kit.compression.search import Setting
from keras_prune_kit.compression.teaching import Teaching
from keras_prune_kit.quantization import quantize_aware, strip_quantization
from keras_prune_kit.reports import SparsityReport
from keras_prune_kit.tflite import TFLiteModel


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        model: An ordinary Keras model that computes with the weights of the file.
        tflite: The file.
        sparsity_report: The zeros of each pruned weight.
        weights: What a later attempt can begin with.
    """

    model: Any
    tflite: TFLiteModel
    sparsity_report: SparsityReport
    weights: list[Any]


class Trainer:
    """Makes attempts.

    Args:
        job: What is asked for.
        teaching: What attempts learn from.
    """

    def __init__(self, job: Job, teaching: Teaching) -> None:
        self._job = job
        self._teaching = teaching

    def attempt(
        self, setting: Setting, epochs: int, start: list[Any] | None
    ) -> Outcome:
        """Trains a copy of the model, with other weights to start from if given."""
        if setting.weight_bits is None:
            return self._quantized_afterwards(setting, epochs, start)
        if _keras.world(self._job.model).__name__ == "tf_keras":
            return self._quantized_at_last(setting, epochs, start)
        return self._quantized_throughout(setting, epochs, start)

    def _quantized_afterwards(
        self, setting: Setting, epochs: int, start: list[Any] | None
    ) -> Outcome:
        model, report = self._prune(
            _keras.clone(self._job.model), setting, epochs, start
        )
        exported = self._job.export(model, setting.quantization)
        return self._outcome(model, exported, report, model)

    def _quantized_throughout(
        self, setting: Setting, epochs: int, start: list[Any] | None
    ) -> Outcome:
        """Prunes while it trains quantized."""
        # The masks of pruning keep the zeros.
        quantized = quantize_aware(
            self._job.model,
            weight_bits=setting.weight_bits or 8,
            preserve_sparsity=False,
        ).model
        model, report = self._prune(quantized, setting, epochs, start)
        exported = self._job.export(model, setting.quantization)
        return self._outcome(strip_quantization(model), exported, report, model)

    def _quantized_at_last(
        self, setting: Setting, epochs: int, start: list[Any] | None
    ) -> Outcome:
        """Prunes first: in TFMOT's layers there are no kernels that could be."""
        last = max(1, epochs // 3)
        pruned = _keras.clone(self._job.model)
        pruned, report = self._prune(pruned, setting, epochs - last, start)
        quantized = quantize_aware(pruned).model
        self._teaching.compile(quantized, self._job.steps(last))
        self._teaching.lessons.train(quantized, **self._options(last))
        exported = self._job.export(quantized, setting.quantization)
        return self._outcome(strip_quantization(quantized), exported, report, pruned)

    def _prune(
        self, model: Any, setting: Setting, epochs: int, start: list[Any] | None
    ) -> tuple[Any, SparsityReport]:
        if start is not None:
            model.set_weights(start)
        self._teaching.compile(model, self._job.steps(epochs))
        pruning = pruning_for(self._job, setting.policy)
        lessons = self._teaching.lessons
        return model, lessons.prune(model, pruning, **self._options(epochs))

    def _options(self, epochs: int) -> dict[str, Any]:
        callbacks = self._job.callbacks
        return {"callbacks": callbacks, "epochs": epochs, **self._job.fit_options}

    def _outcome(
        self, model: Any, exported: TFLiteModel, report: SparsityReport, trained: Any
    ) -> Outcome:
        _keras.compile_like(self._job.model, model)
        return Outcome(model, exported, report, trained.get_weights())
