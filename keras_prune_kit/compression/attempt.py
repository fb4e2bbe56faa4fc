"""One attempt: a copy of the model, pruned and quantized to one setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.compression.bisection import Setting
from keras_prune_kit.compression.prune_once import pruning_for
from keras_prune_kit.compression.recipe import Job
from keras_prune_kit.compression.teaching import Teaching
from keras_prune_kit.compression.warm_start import Trail
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
    """

    model: Any
    tflite: TFLiteModel
    sparsity_report: SparsityReport


class Trainer:
    """Makes attempts. One at a searched sparsity begins where an earlier one has been.

    Args:
        job: What is asked for.
        teaching: What attempts learn from.
        folder: For the weights to begin with.
    """

    def __init__(self, job: Job, teaching: Teaching, folder: Path) -> None:
        self._job = job
        self._teaching = teaching
        self._trail = Trail(folder)

    def attempt(self, setting: Setting, epochs: int) -> Outcome:
        """Trains a copy of the model."""
        if setting.weight_bits is None:
            return self._quantized_afterwards(setting, epochs)
        if _keras.world(self._job.model).__name__ == "tf_keras":
            return self._quantized_at_last(setting, epochs)
        return self._quantized_throughout(setting, epochs)

    def _quantized_afterwards(self, setting: Setting, epochs: int) -> Outcome:
        model = _keras.clone(self._job.model)
        report = self._prune(model, setting, epochs)
        exported = self._job.export(model, setting.quantization)
        return self._outcome(model, exported, report)

    def _quantized_throughout(self, setting: Setting, epochs: int) -> Outcome:
        """Prunes while it trains quantized."""
        # The masks of pruning keep the zeros.
        quantized = quantize_aware(
            self._job.model,
            weight_bits=setting.weight_bits or 8,
            preserve_sparsity=False,
        ).model
        report = self._prune(quantized, setting, epochs)
        exported = self._job.export(quantized, setting.quantization)
        return self._outcome(strip_quantization(quantized), exported, report)

    def _quantized_at_last(self, setting: Setting, epochs: int) -> Outcome:
        """Prunes first: in TFMOT's layers there are no kernels that could be."""
        last = max(1, epochs // 3)
        pruned = _keras.clone(self._job.model)
        report = self._prune(pruned, setting, epochs - last)
        quantized = quantize_aware(pruned).model
        self._teaching.compile(quantized, self._job.steps(last))
        options = {"epochs": last, **self._job.fit_options}
        self._teaching.lessons.train(quantized, self._job.callbacks, **options)
        exported = self._job.export(quantized, setting.quantization)
        return self._outcome(strip_quantization(quantized), exported, report)

    def _prune(self, model: Any, setting: Setting, epochs: int) -> SparsityReport:
        begin, callbacks, sought = 0.0, self._job.callbacks, setting.sought
        is_searched = isinstance(sought, float)
        if is_searched:
            callbacks = [self._trail, *callbacks]
            milestone = self._trail.sparsest_up_to(sought)
            if milestone is not None:
                model.load_weights(milestone.weights)
                begin = milestone.sparsity
        self._teaching.compile(model, self._job.steps(epochs))
        report = self._teaching.lessons.prune(
            model,
            pruning_for(self._job, setting.policy(begin)),
            callbacks,
            epochs=epochs,
            **self._job.fit_options,
        )
        if is_searched:
            self._trail.mark(report.sparsity, model)  # its best epoch
        return report

    def _outcome(
        self, model: Any, exported: TFLiteModel, report: SparsityReport
    ) -> Outcome:
        _keras.compile_like(self._job.model, model)
        return Outcome(model, exported, report)
