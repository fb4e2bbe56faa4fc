"""The results of a search, read from the folders of its trials."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit.reports import ParetoFront, SearchTrial
from keras_prune_kit.tuning.artifacts import RECORD, judge_of

_FINISHED = "COMPLETED"


def pareto_front(tuner: Any) -> ParetoFront:
    """Return the trade-off between metric and gzipped size that a search found.

    Args:
        tuner: A tuner that has searched a `CompressionHyperModel`, or the folder of the
            search, with the trials of all workers and earlier runs.

    Returns:
        A record of all finished trials and the Pareto-optimal ones among them. It
        prints as a table, plots, writes an HTML page and selects a trial.

    Raises:
        OSError: If the folder does not exist.
        TypeError: If `tuner` is neither a tuner nor a path.
        ValueError: If no trial in it is finished, or not all were judged by one metric.

    Example:

    ```python
    front = kpk.pareto_front(tuner)
    print(front)
    front.to_html("front.html")
    model = kpk.TFLiteModel(front.smallest_within().folder / "model.tflite")
    ```
    """
    is_path = isinstance(tuner, str | os.PathLike)
    if not is_path and not hasattr(tuner, "project_dir"):
        raise TypeError(
            "tuner is a tuner that has searched, or the folder of its search. "
            f"Received: {tuner!r}."
        )
    folder = as_path("tuner", tuner if is_path else tuner.project_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no such folder of a search: {folder}.")
    records = {path.parent: _read(path) for path in folder.glob(f"trial_*/{RECORD}")}
    # `glob` has no order; trials are numbered in the order of their start.
    records = {path: records[path] for path in sorted(records) if _is_finished(path)}
    if not records:
        raise ValueError(
            f"{folder} has no finished trial of a CompressionHyperModel. Run "
            "tuner.search(...) first, or pass the project folder itself."
        )
    judged = sorted({judge_of(record) for record in records.values()})
    if len(judged) > 1:
        found = " and ".join(f"{metric} ({mode})" for metric, mode in judged)
        raise ValueError(
            f"All trials of a search are judged by one metric. Received: {folder} with "
            f"trials by {found}. Search again with overwrite=True."
        )
    last = list(records.values())[-1]
    ((metric, mode),) = judged
    return ParetoFront(
        trials=tuple(_trial(path, record) for path, record in records.items()),
        metric=metric,
        baseline_accuracy=last["baseline"]["score"],
        baseline_gzip_bytes=last["baseline"]["gzip_bytes"],
        max_accuracy_drop=last["max_accuracy_drop"],
        mode=mode,
    )


def _trial(path: Path, record: dict[str, Any]) -> SearchTrial:
    measures = record["measures"]
    return SearchTrial(
        name=path.name.removeprefix("trial_"),
        folder=path,
        accuracy=measures["tflite_accuracy"],
        gzip_bytes=int(measures["gzip_bytes"]),
        measures=measures,
        hyperparameters=record["hyperparameters"],
        mode=judge_of(record)[1],
    )


def _is_finished(folder: Path) -> bool:
    """Return True if KerasTuner recorded the trial's end; others will run again."""
    trial = folder / "trial.json"
    return trial.exists() and _read(trial)["status"] == _FINISHED


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))
