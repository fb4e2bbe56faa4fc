"""One trial: an attempt with a copy of the baseline, and the measures of its file.

On every backend it trains in the process of the tuner, not in the child process that
`compress` uses for JAX and torch: callbacks, hooks and weights that KerasTuner hands
from trial to trial are live objects, which cannot be sent. Only the export goes there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalValueError

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import check_rereadable
from keras_prune_kit.callbacks.sparsity_summaries import EventFile
from keras_prune_kit.compression.attempt import (
    LATENCY_RUNS,
    Setting,
    copy_for,
    run_attempt,
)
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.compression.repairing import DENSE, start_of
from keras_prune_kit.compression.sounding import WEIGHTS
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.policies import described
from keras_prune_kit.reports import Allowance
from keras_prune_kit.tflite import TFLiteModel, macs
from keras_prune_kit.tuning.baseline import Baseline
from keras_prune_kit.tuning.earlier import (
    Earlier,
    go_on,
    least_drop,
    stored_bits,
    trials_beside,
)
from keras_prune_kit.tuning.stopping import StopOutOfReach


@dataclass(frozen=True)
class Trial:
    """An attempt whose file is compared with a baseline.

    Attributes:
        baseline: The model that the file is compared with.
        setting: The settings of pruning and quantization.
        representative_data: Samples for calibration; `None` if not needed.
        max_accuracy_drop: The largest accepted drop of the metric that decides.
        folder: Its folder in the search; `None` if it is no part of one.
    """

    baseline: Baseline
    setting: Setting
    representative_data: Any
    max_accuracy_drop: float
    folder: Path | None = None

    def run(
        self, model: Any, arguments: dict[str, Any]
    ) -> tuple[dict[str, float], TFLiteModel, dict[str, Any]]:
        """Train the copy, export it and measure the file.

        Args:
            model: The copy. Afterwards it has the weights of its best epoch at the
                target sparsity.
            arguments: Arguments of `fit`, callbacks and validation data included.

        Returns:
            The measures, the file, and a record of how it was made.
        """
        data = arguments["validation_data"]
        evaluation, score = self.baseline.scored_on(data)
        allowance = self.baseline.allowance_on(data, self.max_accuracy_drop)
        before = [] if self.folder is None else trials_beside(self.folder)
        bits = stored_bits(self.setting, model)
        to_beat = least_drop(before, bits)
        stop = StopOutOfReach(evaluation.metric, allowance, to_beat)
        callbacks = arguments["callbacks"]
        training = FineTuning(
            {key: item for key, item in arguments.items() if key != "callbacks"},
            evaluation.metric,
            evaluation.known_mode(),
            [stop, *callbacks],
            # A file at another sparsity than that of its trial would mislead the
            # search.
            on_incomplete="raise",
        )
        dense = self.baseline.thinned(self.setting.thinning)
        start = DENSE
        # Hyperband hands on the weights of an earlier trial.
        if not arguments.get("initial_epoch"):
            start = self._set_start(model, dense, training, before)
        samples = self.representative_data
        outcome = run_attempt(model, dense, self.setting, training, samples)
        measures = self._measure(outcome.tflite, evaluation, allowance)
        if outcome.score is not None:
            # Objectives such as `val_accuracy` work as in any search.
            measures[f"val_{evaluation.metric}"] = outcome.score
        _tell_tensorboard(callbacks, measures)
        record = {
            "policy": self.setting.policy and described(self.setting.policy),
            "quantization": self.setting.quantization,
            "weight_bits": self.setting.weight_bits,
            "thinning": self.setting.thinning and asdict(self.setting.thinning),
            "start": start,
            "stored_bits": bits,
            "epochs": stop.epochs,
            "stopped_early": stop.has_stopped,
            "max_accuracy_drop": self.max_accuracy_drop,
            "measures": measures,
            "baseline": {
                "metric": evaluation.metric,
                "mode": evaluation.known_mode(),
                "score": score,
                "gzip_bytes": self.baseline.gzip_bytes,
            },
        }
        return measures, outcome.tflite, record

    def _set_start(
        self, model: Any, dense: Any, training: FineTuning, before: list[Earlier]
    ) -> str:
        """Give the copy the weights that it trains from; return their origin."""
        if name := go_on(model, self.setting, before):
            return name
        first, start = start_of(
            dense, self.setting.policy, training, most_lost=WEIGHTS.followed
        )
        if first is not dense:
            _keras.copy_state(copy_for(first, self.setting.weight_bits), model)
        return start

    def _measure(
        self, exported: TFLiteModel, evaluation: Evaluation, allowance: Allowance
    ) -> dict[str, float]:
        reached = evaluation.tflite(exported)[evaluation.metric]
        size = exported.gzip_bytes
        return {
            "gzip_bytes": float(size),
            "size_ratio": self.baseline.gzip_bytes / size,
            "file_bytes": float(len(exported.bytes)),
            "sparsity": exported.sparsity_report().sparsity,
            "tflite_accuracy": reached,
            "accuracy_drop": allowance.drop(reached),
            "macs": float(macs(exported.bytes)),
            "latency_ms": exported.latency(evaluation.inputs(1), runs=LATENCY_RUNS),
        }


def check_data(arguments: dict[str, Any]) -> None:
    """Raise a `FatalValueError`, which ends the search, if `fit` lacks data."""
    if arguments.get("x") is None or arguments.get("validation_data") is None:
        raise FatalValueError(
            "search has the arguments of fit, with validation_data to measure every "
            "file on: tuner.search(x, y, validation_data=(x_val, y_val)). "
            f"Received: {', '.join(sorted(arguments))}."
        )
    for name in ("x", "validation_data"):
        try:
            check_rereadable(arguments[name], name)
        except ValueError as error:
            raise FatalValueError(str(error)) from error


def _tell_tensorboard(callbacks: list[Any], measures: dict[str, float]) -> None:
    """Write the measures to the TensorBoard logs, for the hyperparameter page."""
    for callback in callbacks:
        # By name, as it may be of `keras` or of `tf_keras`.
        if type(callback).__name__ == "TensorBoard":
            events = EventFile(callback.log_dir)
            events.write(0, dict(measures))
            events.close()
