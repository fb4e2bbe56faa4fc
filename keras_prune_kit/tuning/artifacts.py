"""The files that a search and its trials write to their folders."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalValueError

from keras_prune_kit._tools.files import replacing, replacing_folder
from keras_prune_kit.tflite import TFLiteModel

# KerasTuner's file name, which `get_best_models` loads.
WEIGHTS = "checkpoint.weights.h5"
MODEL = "model.keras"
TFLITE = "model.tflite"
RECORD = "compression.json"
_SEARCH = "compression_search.json"


def claim(folder: Path, search: dict[str, Any]) -> None:
    """Mark a project folder with a search, or check that its mark is the same.

    Args:
        folder: The folder that KerasTuner creates for a project.
        search: The values that distinguish searches, as plain data.

    Raises:
        FatalValueError: If the folder contains the trials of another search.
    """
    mark = folder / _SEARCH
    if mark.exists():
        found = json.loads(mark.read_text("utf-8"))
        parts = [
            f"{key} {found.get(key)}, now {now}"
            for key, now in search.items()
            if found.get(key) != now
        ]
        if parts:
            raise FatalValueError(_refusal(folder, "; ".join(parts)))
    # KerasTuner's own checkpoints: some other search, which left no mark.
    elif any(folder.glob("trial_*/*.h5")):
        raise FatalValueError(_refusal(folder, "trials of no CompressionHyperModel"))
    else:
        with replacing(mark) as part:
            part.write_text(json.dumps(search, indent=2) + "\n", "utf-8")


def judge_of(record: dict[str, Any]) -> tuple[str, str]:
    """Return a trial's deciding metric and its mode, `"max"` if not recorded."""
    baseline = record["baseline"]
    return baseline["metric"], baseline.get("mode", "max")


def check_judge(folder: Path, metric: str, mode: str) -> None:
    """Raise a `FatalValueError` if earlier trials were judged by another metric.

    Args:
        folder: The folder that KerasTuner creates for a project.
        metric: The metric that decides now.
        mode: Its mode.
    """
    for path in folder.glob(f"trial_*/{RECORD}"):
        before, its_mode = judge_of(json.loads(path.read_text("utf-8")))
        if (before, its_mode) != (metric, mode):
            received = f"trials judged by {before} ({its_mode}), now {metric} ({mode})"
            advice = f"Pass objective='{before}', mode='{its_mode}' to go on."
            raise FatalValueError(f"{_refusal(folder, received)} {advice}")


def write(
    folder: Path, model: Any, exported: TFLiteModel, record: dict[str, Any]
) -> None:
    """Write the Keras model, the .tflite file and the record of a trial.

    Args:
        folder: The folder that KerasTuner creates for a trial.
        model: The Keras model at its target sparsity. Its weights are always written,
            the whole model only if Keras can save it.
        exported: The .tflite file exported from it.
        record: The settings and measures of the trial, as plain data.
    """
    with replacing_folder(folder) as part:
        model.save_weights(os.fspath(part / WEIGHTS))
        # Keras cannot save a class without get_config(). The weights suffice then, as
        # the user's function that builds the baseline recreates the model.
        with contextlib.suppress(NotImplementedError):
            model.save(os.fspath(part / MODEL))
        exported.save(part / TFLITE)
        (part / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def _refusal(folder: Path, received: str) -> str:
    return (
        f"{folder} holds another search ({received}). Give the tuner another "
        "project_name, or overwrite=True to throw that one away."
    )
