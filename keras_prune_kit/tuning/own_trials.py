"""The trials of a hypermodel that is the user's own, as KerasTuner records them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.reports import SearchTrial

_SIZE = "gzip_bytes"


def metric_of(objective: Any) -> keras_tuner.Objective | None:
    """Return the one objective beside `gzip_bytes`; `None` if there is no such one.

    Args:
        objective: A KerasTuner objective, or several as a `MultiObjective`.
    """
    parts = getattr(objective, "objectives", [objective])
    metrics = [part for part in parts if getattr(part, "name", _SIZE) != _SIZE]
    return metrics[0] if len(metrics) == 1 else None


def measured_trials(
    found: Mapping[Path, dict[str, Any]], metric: keras_tuner.Objective
) -> tuple[SearchTrial, ...]:
    """Return the trials with a metric and `gzip_bytes` among what they recorded.

    Args:
        found: The content of KerasTuner's file of each finished trial, by folder.
        metric: The metric that decides.

    Raises:
        ValueError: If no trial recorded both.
    """
    measures = {path: _measures(trial) for path, trial in found.items()}
    needed = (metric.name, _SIZE)
    trials = tuple(
        SearchTrial(
            name=found[path]["trial_id"],
            folder=path,
            accuracy=values[metric.name],
            gzip_bytes=round(values[_SIZE]),
            measures=values,
            hyperparameters=found[path]["hyperparameters"]["values"],
            mode=metric.direction,
        )
        for path, values in measures.items()
        # A trial that diverged would be worse than no other one.
        if all(math.isfinite(values.get(name, math.nan)) for name in needed)
    )
    if not trials:
        names = sorted({name for values in measures.values() for name in values})
        raise ValueError(
            f"The front needs trials that recorded '{metric.name}' and '{_SIZE}', both "
            f"finite: return them from fit. Recorded: {', '.join(names) or 'nothing'}."
            + did_you_mean(metric.name, names)
        )
    return trials


def _measures(trial: dict[str, Any]) -> dict[str, float]:
    """Return the last value of each metric, the mean of several executions."""
    histories = trial["metrics"]["metrics"]
    return {
        name: sum(values) / len(values)
        for name, history in histories.items()
        if history["observations"]
        for values in [history["observations"][-1]["value"]]
    }
