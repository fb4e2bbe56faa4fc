"""One trial: prune and fine-tune, export, measure the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_tuner.errors import FatalValueError

from keras_prune_kit._tools.datasets import check_rereadable, labelled_samples
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.callbacks.sparsity_summaries import EventFile
from keras_prune_kit.compression.fine_tuning import fine_tune
from keras_prune_kit.policies import described
from keras_prune_kit.reports import Allowance
from keras_prune_kit.tflite import CALIBRATED, TFLiteModel, export_tflite
from keras_prune_kit.tuning.baseline import Baseline
from keras_prune_kit.tuning.space import Settings
from keras_prune_kit.tuning.stopping import StopOutOfReach

_CRITERION_SAMPLES = 256
_LATENCY_RUNS = 20


@dataclass(frozen=True)
class Trial:
    """What is done with a copy of the baseline.

    Args:
        baseline: What it is compared with.
        settings: How it is pruned and exported.
        representative_data: What calibrates it, if that is needed.
        max_accuracy_drop: What it may lose.
    """

    baseline: Baseline
    settings: Settings
    representative_data: Any
    max_accuracy_drop: float

    def run(
        self, model: Any, arguments: dict[str, Any]
    ) -> tuple[dict[str, float], TFLiteModel, dict[str, Any]]:
        """Trains the copy, and measures the file that is made of it.

        Args:
            model: The copy. It is at its target sparsity afterwards, as it was after
                the best of those epochs.
            arguments: For `fit`, callbacks and validation data among them.

        Returns:
            What was measured, the file, and a record of how it came to be.
        """
        evaluate, score = self.baseline.scored_on(arguments["validation_data"])
        stop = StopOutOfReach(evaluate.metric, self._allowance(arguments))
        policy = self.settings.policy
        data = _sample(arguments) if policy.needs_data else None
        callbacks = arguments["callbacks"]
        reached = fine_tune(
            model,
            metric=evaluate.metric,
            mode=evaluate.known_mode(),
            pruning=PruningCallback(policy, on_incomplete="raise", data=data),
            **{**arguments, "callbacks": [stop, *callbacks]},
        )
        exported = self._export(model)
        measures = self._measure(exported, arguments)
        if reached is not None:
            measures[f"val_{evaluate.metric}"] = reached
        _tell_tensorboard(callbacks, measures)
        record = {
            "policy": described(policy),
            "quantization": self.settings.quantization,
            "weight_bits": self.settings.weight_bits,
            "epochs": stop.epochs,
            "stopped_early": stop.has_stopped,
            "max_accuracy_drop": self.max_accuracy_drop,
            "measures": measures,
            "baseline": {
                "metric": evaluate.metric,
                "mode": evaluate.known_mode(),
                "score": score,
                "gzip_bytes": self.baseline.gzip_bytes,
            },
        }
        return measures, exported, record

    def _allowance(self, arguments: dict[str, Any]) -> Allowance:
        data = arguments["validation_data"]
        return self.baseline.allowance_on(data, self.max_accuracy_drop)

    def _export(self, model: Any) -> TFLiteModel:
        kind = self.settings.quantization
        is_trained_for_it = self.settings.weight_bits is not None
        needs_data = kind in CALIBRATED and not is_trained_for_it
        data = self.representative_data if needs_data else None
        return export_tflite(model, quantization=kind, representative_data=data)

    def _measure(
        self, exported: TFLiteModel, arguments: dict[str, Any]
    ) -> dict[str, float]:
        evaluate, _ = self.baseline.scored_on(arguments["validation_data"])
        reached = evaluate.tflite(exported)[evaluate.metric]
        size = exported.gzip_bytes
        return {
            "gzip_bytes": float(size),
            "size_ratio": self.baseline.gzip_bytes / size,
            "file_bytes": float(len(exported.bytes)),
            "sparsity": exported.sparsity_report().sparsity,
            "tflite_accuracy": reached,
            "accuracy_drop": self._allowance(arguments).drop(reached),
            "latency_ms": exported.latency(evaluate.inputs(1), runs=_LATENCY_RUNS),
        }


def check_data(arguments: dict[str, Any]) -> None:
    """Raises a `FatalValueError`, which ends the search, if it cannot go on so."""
    if arguments.get("x") is None or arguments.get("validation_data") is None:
        raise FatalValueError(
            "search takes what fit takes, with validation_data that every file is "
            "measured on: tuner.search(x, y, validation_data=(x_val, y_val)). "
            f"Received: {', '.join(sorted(arguments))}."
        )
    for name in ("x", "validation_data"):
        try:
            check_rereadable(arguments[name], name)
        except ValueError as error:
            raise FatalValueError(str(error)) from error


def _sample(arguments: dict[str, Any]) -> Any:
    x, y = arguments["x"], arguments.get("y")
    return labelled_samples(x if y is None else (x, y), _CRITERION_SAMPLES)


def _tell_tensorboard(callbacks: list[Any], measures: dict[str, float]) -> None:
    """Puts what was measured beside the curves, for the page of hyperparameters."""
    for callback in callbacks:
        if type(callback).__name__ == "TensorBoard":
            events = EventFile(callback.log_dir)
            events.write(0, dict(measures))
            events.close()
