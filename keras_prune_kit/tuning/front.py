"""The results of a search, read from the folders of its trials."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras_tuner

from keras_prune_kit._tools.checks import MAX_ACCURACY_DROP, as_path
from keras_prune_kit.reports import ParetoFront, SearchTrial
from keras_prune_kit.tuning.artifacts import RECORD, judge_of
from keras_prune_kit.tuning.own_trials import measured_trials, metric_of

_FINISHED = "COMPLETED"


def pareto_front(
    tuner: Any, *, objective: keras_tuner.Objective | None = None
) -> ParetoFront:
    """Return the trade-off between metric and gzipped size that a search found.

    The trials of a hypermodel of your own have a front, too, if its `fit` returns a
    metric and `gzip_bytes`: name the metric by `objective`. There is no baseline then,
    so sizes and drops are relative to the trial with the best metric.

    Args:
        tuner: A tuner that has searched, or the folder of the search, with the trials
            of all workers and earlier runs.
        objective: The metric of a hypermodel of your own, such as
            `keras_tuner.Objective("tflite_accuracy", "max")`. Defaults to `None`: that
            of the `CompressionHyperModel`, or the one that a tuner with a list of
            two objectives has beside `gzip_bytes`.

    Returns:
        A record of all finished trials and the Pareto-optimal ones among them. It
        prints as a table, plots, writes an HTML page and selects a trial.

    Raises:
        OSError: If the folder does not exist.
        TypeError: If `tuner` is neither a tuner nor a path, or `objective` is none.
        ValueError: If no trial in it is finished, not all were judged by one metric, or
            the metric is not known or was not recorded.

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
    if objective is not None and not isinstance(objective, keras_tuner.Objective):
        raise TypeError(
            "objective is the metric of the trials, such as keras_tuner.Objective("
            f"'tflite_accuracy', 'max'). Received: {objective!r}."
        )
    folder = as_path("tuner", tuner if is_path else tuner.project_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no such folder of a search: {folder}.")
    finished = _finished(folder)
    records = {
        path: _read(path / RECORD) for path in finished if (path / RECORD).exists()
    }
    if records and objective is None:
        return _front_of_records(folder, records)
    if objective is None and not is_path:
        # A single one need not be a metric: it may have the size in it.
        searched = tuner.oracle.objective
        objective = searched if hasattr(searched, "objectives") else None
    return _front_of_own(folder, finished, metric_of(objective))


def _front_of_records(folder: Path, records: dict[Path, dict[str, Any]]) -> ParetoFront:
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


def _front_of_own(
    folder: Path, found: dict[Path, Any], metric: keras_tuner.Objective | None
) -> ParetoFront:
    if not found:
        raise ValueError(
            f"{folder} has no finished trial. Run tuner.search(...) first, or pass the "
            "project folder itself."
        )
    if metric is None:
        raise ValueError(
            f"The trials in {folder} are of no CompressionHyperModel, so the metric "
            "must be named: kpk.pareto_front(tuner, objective=keras_tuner.Objective("
            "'tflite_accuracy', 'max')). They must have recorded it, and gzip_bytes."
        )
    trials = measured_trials(found, metric)
    best = min(trials, key=lambda trial: (trial.badness, trial.gzip_bytes))
    return ParetoFront(
        trials=trials,
        metric=metric.name,
        baseline_accuracy=best.accuracy,
        baseline_gzip_bytes=best.gzip_bytes,
        max_accuracy_drop=MAX_ACCURACY_DROP,
        mode=metric.direction,
        baseline_name="best trial",
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


def _finished(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return what KerasTuner wrote of each trial that ended; others will run again."""
    found = {path.parent: _read(path) for path in folder.glob("trial_*/trial.json")}
    # `glob` has no order; trials are numbered in the order of their start.
    return {
        path: found[path]
        for path in sorted(found)
        if found[path]["status"] == _FINISHED
    }


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))
