"""`keras-prune-kit search`: find the smallest file that is good enough."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import shutil
import textwrap
from pathlib import Path
from typing import Any

from keras_tuner.oracles import BayesianOptimizationOracle

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import input_samples
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools.files import replacing_folder
from keras_prune_kit._tools.progress import Stage, stage
from keras_prune_kit._tools.quantizations import CALIBRATION_SAMPLES
from keras_prune_kit.cli.choices import SEARCH_FOLDER
from keras_prune_kit.cli.compress import opened
from keras_prune_kit.cli.result import Result
from keras_prune_kit.reports import ParetoFront
from keras_prune_kit.reports.tables import TABLE_WIDTH
from keras_prune_kit.tuning import (
    CompressionHyperModel,
    CompressionTuner,
    pareto_front,
    smallest_within,
)

_log = logging.getLogger(__name__)

_SEED = 0
_MODELS = ("model.tflite", "model.keras")
# Random trials before the Gaussian process: these, or a third of all if that is more.
_LEAST_RANDOM = 4


def run(options: argparse.Namespace) -> Result:
    """Start or resume a search, and write the best file and a report."""
    model, training, validation = opened(options)
    representative = input_samples(training, CALIBRATION_SAMPLES)
    hypermodel = CompressionHyperModel(
        model,
        sparsity=tuple(options.sparsity),
        quantization=options.quantize,
        representative_data=representative,
        max_accuracy_drop=options.max_drop,
        objective=options.objective,
        mode=options.mode,
    )
    tuner = _tuner(hypermodel, options)
    x, *rest = training if isinstance(training, tuple) else (training,)
    batch = {"batch_size": options.batch_size} if isinstance(training, tuple) else {}
    done = len(tuner.oracle.end_order)
    if done:
        _log.info("Resuming the search. Trials that are already done: %d.", done)
    with stage("searching", max(options.max_trials - done, 1)) as current:
        tuner.shown_on(current)
        tuner.search(
            x,
            *rest[:1],
            validation_data=validation,
            epochs=options.epochs,
            callbacks=_callbacks(model, options),
            verbose=0,
            **batch,
        )
    return _save(pareto_front(tuner), Path(options.out))


class _ShownTuner(CompressionTuner):
    """A tuner that shows the front after each trial."""

    _stage: Stage | None = None

    def shown_on(self, current: Stage) -> None:
        """Set the stage that shows the front."""
        self._stage = current

    def on_trial_end(self, trial: Any) -> None:
        """Show the front; KerasTuner calls this."""
        super().on_trial_end(trial)
        if self._stage is not None:
            self._stage.advance()
            with contextlib.suppress(ValueError):  # No trial is finished yet.
                self._stage.show(str(pareto_front(self)))


def _tuner(hypermodel: CompressionHyperModel, options: argparse.Namespace):
    oracle = BayesianOptimizationOracle(
        smallest_within(options.max_drop),
        max_trials=options.max_trials,
        num_initial_points=max(_LEAST_RANDOM, options.max_trials // 3),
        seed=_SEED,
    )
    # KerasTuner prints to stdout, where `--json` prints JSON.
    with contextlib.redirect_stdout(io.StringIO()):
        return _ShownTuner(
            oracle,
            hypermodel,
            directory=options.out,
            project_name=SEARCH_FOLDER,
            overwrite=options.overwrite,
        )


def _callbacks(model: Any, options: argparse.Namespace) -> list[Any]:
    callbacks: list[Any] = [StageProgress("pruning")]
    if importlib.util.find_spec("tensorboard") is not None:
        logs = str(Path(options.out) / "logs")
        callbacks.append(_keras.callback_namespace(model).TensorBoard(logs))
    return callbacks


def _save(front: ParetoFront, out: Path) -> Result:
    """Write the report, and the best models if any trial is good enough."""
    lines = [str(front), ""]
    data = front.to_dict()
    names = ["front.html", "front.json", "front.png"]
    with stage("writing files"), replacing_folder(out) as part:
        front.to_html(part / "front.html")
        front.plot(part / "front.png")
        (part / "front.json").write_text(json.dumps(data, indent=2) + "\n", "utf-8")
        try:
            best = front.smallest_within()
        except ValueError as error:
            lines.append(str(error))
        else:
            for name in _MODELS:
                # Copied, not moved: a search that goes on needs its trials.
                shutil.copyfile(best.folder / name, part / name)
            names += _MODELS
            data["best"] = best.name
            found = (
                f"The smallest within {front.allowance.amount} is trial {best.name}: "
                f"{front.metric} {best.accuracy:.4f}, {best.gzip_bytes:,} bytes "
                f"gzipped, {front.size_ratio(best):.1f}x smaller."
            )
            lines.append(textwrap.fill(found, TABLE_WIDTH))
    lines += [f"Everything is in {out}:", ", ".join(sorted(names))]
    data["files"] = {name: str(out / name) for name in sorted(names)}
    return Result("\n".join(lines), data)
