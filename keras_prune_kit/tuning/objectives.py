"""Objectives of a search, each one number computed from the measures of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras_tuner import Objective
from keras_tuner.engine.metrics_tracking import infer_metric_direction
from keras_tuner.errors import FatalValueError

from keras_prune_kit._tools.checks import check_drop, is_number
from keras_prune_kit.reports import LEAST_DROP, is_within

Measures = Mapping[str, float]

# The penalties of a file beyond the limit, in doublings of its size: a fixed one, and
# one per doubling of 1 + excess / limit. Larger ones would put a cliff at the limit. A
# search that models the objective would then avoid it, though the best files are there.
_CHARGE = 4
_CHARGE_FOR_LOSS = 2
_LEAST = 1e-6  # Some files have no multiplications.
_LEAST_DENSITY = 0.001  # Keeps the logarithm of the density finite.
_IN_DOUBLINGS = ("file_bytes", "gzip_bytes", "latency_ms", "macs", "size_ratio")
_IN_DROPS = ("accuracy_drop", "tflite_accuracy")


class _Computed(Objective):
    """An objective that is computed from several measures."""

    def has_value(self, logs: Measures) -> bool:
        return {"gzip_bytes", "size_ratio", *_IN_DROPS} <= set(logs)


class _SmallestWithin(_Computed):
    def __init__(self, max_accuracy_drop: float) -> None:
        super().__init__("smallest_within", "min")
        self.max_accuracy_drop = max_accuracy_drop

    def get_value(self, logs: Measures) -> float:
        size = math.log2(logs["gzip_bytes"])
        if is_within(logs["accuracy_drop"], self.max_accuracy_drop):
            return size
        excess = logs["accuracy_drop"] - self.max_accuracy_drop
        # The limit may be zero.
        unit = max(self.max_accuracy_drop, LEAST_DROP)
        return size + _CHARGE + _CHARGE_FOR_LOSS * math.log2(1 + excess / unit)


class _AccuracySizeScore(_Computed):
    def __init__(self, accuracy_per_halving: float) -> None:
        super().__init__("accuracy_size_score", "max")
        self.accuracy_per_halving = accuracy_per_halving

    def get_value(self, logs: Measures) -> float:
        halvings = math.log2(logs["size_ratio"])
        return logs["tflite_accuracy"] * (1 + self.accuracy_per_halving * halvings)


def smallest_within(max_accuracy_drop: float) -> Objective:
    """Return the objective of the smallest gzipped file within an accuracy drop.

    The value is the base-2 logarithm of the gzipped bytes. A file beyond the limit
    counts as 16 times its size, at twice the limit as 64 times, and so on. It thus
    ranks after every file within the limit that is not more than 16 times larger.
    `ParetoFront.smallest_within` never selects one. The value is a logarithm and the
    penalty grows slowly because a search that models the objective, such as
    `BayesianOptimization`, would otherwise fit only the outliers.

    Args:
        max_accuracy_drop: The largest accepted drop of the metric, such as 0.01. If
            more is better, it is absolute; for an error, it is relative to the
            baseline's error (one percent more).

    Returns:
        An objective named `"smallest_within"`, to be minimized, for the `objective` of
        any KerasTuner tuner or oracle. `CompressionHyperModel` returns what it needs;
        a hypermodel of your own returns, from `fit`, `gzip_bytes`, `accuracy_drop` and
        `objective.get_value` of the two under the key `"smallest_within"`.

    Raises:
        ValueError: If it is not a number of at least 0 and below 1.

    Example:

    >>> objective = smallest_within(0.01)
    >>> within = {"gzip_bytes": 4096, "size_ratio": 8.0, "accuracy_drop": 0.004}
    >>> beyond = {"gzip_bytes": 1024, "size_ratio": 32.0, "accuracy_drop": 0.02}
    >>> objective.get_value(within), objective.get_value(beyond)
    (12.0, 16.0)
    """
    check_drop("max_accuracy_drop", max_accuracy_drop)
    return _SmallestWithin(max_accuracy_drop)


def accuracy_size_score(accuracy_per_halving: float = 0.01) -> Objective:
    """Return the objective that weighs the accuracy of a file against its size.

    It needs a metric of which more is better; for errors use `smallest_within`.

    The value is `accuracy * (1 + accuracy_per_halving * log2(size_ratio))`: at 0.01, a
    file of half the size scores the same with about one percent less accuracy.

    Args:
        accuracy_per_halving: The relative loss of accuracy that half the file size is
            worth, above 0 and below 1. Defaults to 0.01.

    Returns:
        An objective named `"accuracy_size_score"`, to be maximized. A hypermodel of
        your own returns, from `fit`, `tflite_accuracy`, `size_ratio` and
        `objective.get_value` of the two under the key `"accuracy_size_score"`.

    Raises:
        ValueError: If it is out of range.

    Example:

    >>> objective = accuracy_size_score(0.01)
    >>> measures = {"tflite_accuracy": 0.9, "size_ratio": 8.0}
    >>> round(objective.get_value(measures), 3)
    0.927

    Source: the forgiving factor of AutoQKeras, Coelho et al. 2021, "Automatic
    heterogeneous quantization of deep neural networks", arXiv 2006.10159.
    """
    if not is_number(accuracy_per_halving) or not 0 < accuracy_per_halving < 1:
        raise ValueError(
            "accuracy_per_halving is a share of the accuracy above 0 and below 1, such "
            f"as 0.01. Received: {accuracy_per_halving!r}."
        )
    return _AccuracySizeScore(accuracy_per_halving)


def check_aim(objective: Any, metric: str, mode: str) -> None:
    """Raise a `FatalValueError` if an objective contradicts the mode of the metric.

    Args:
        objective: A KerasTuner objective, or several as a `MultiObjective`.
        metric: The metric that decides.
        mode: `"max"` if more of it is better, `"min"` if less is.
    """
    for part in getattr(objective, "objectives", [objective]):
        if isinstance(part, _AccuracySizeScore) and mode == "min":
            raise FatalValueError(
                "accuracy_size_score needs a metric of which more is better. Received: "
                f"'{metric}', of which less is better. Use kpk.smallest_within."
            )
        if part.name in ("tflite_accuracy", f"val_{metric}") and part.direction != mode:
            raise FatalValueError(
                f"'{part.name}' is '{metric}' here, with mode '{mode}'. Received an "
                f"objective with direction '{part.direction}'. Use "
                f"keras_tuner.Objective('{part.name}', '{mode}')."
            )


def without_unnameable(measures: Measures, objective: Any) -> dict[str, float]:
    """Return the measures that can be reported to KerasTuner.

    To infer the direction of a measure other than the objective, KerasTuner creates the
    Keras metric of that name, which fails if the class has required arguments
    (`SensitivityAtSpecificity`).

    Args:
        measures: The measures of a trial.
        objective: A KerasTuner objective, or several as a `MultiObjective`.
    """
    aims = {part.name for part in getattr(objective, "objectives", [objective])}
    return {n: v for n, v in measures.items() if n in aims or _is_nameable(n)}


def _is_nameable(name: str) -> bool:
    try:
        infer_metric_direction(name)
    except TypeError:
        return False
    return True


def value_of(
    objective: Any, measures: Measures, max_accuracy_drop: float, unit: float = 1.0
) -> float:
    """Return the value of an objective for the measures of a trial.

    KerasTuner adds a list of objectives unscaled, so that bytes count a million times
    more than accuracy. Here they share one scale: half the size or half the latency
    counts as much as `max_accuracy_drop` of the metric, or half the density.

    Args:
        objective: A KerasTuner objective, or several as a `MultiObjective`.
        measures: The measures of the trial.
        max_accuracy_drop: The accepted drop of the search.
        unit: The change of the metric that a drop of 1 stands for. Defaults to 1.

    Raises:
        FatalValueError: If the objective is not among the measures.
    """
    if hasattr(objective, "objectives"):
        return sum(
            _scaled(part, measures, max_accuracy_drop, unit)
            for part in objective.objectives
        )
    if objective.name == "default_objective":
        objective = smallest_within(max_accuracy_drop)
    if not objective.has_value(measures):
        raise FatalValueError(
            f"A trial measures {', '.join(measures)}. Received the objective: "
            f"'{objective.name}'."
        )
    return float(objective.get_value(measures))


def _scaled(
    part: Any, measures: Measures, max_accuracy_drop: float, unit: float
) -> float:
    """Return the value of one of several objectives, scaled and to be minimized."""
    sign = 1 if part.direction == "min" else -1
    if part.name in _IN_DOUBLINGS:
        return sign * math.log2(max(measures[part.name], _LEAST))
    if part.name in _IN_DROPS or part.name.startswith("val_"):
        worth = max(max_accuracy_drop, LEAST_DROP)
        if part.name != "accuracy_drop":
            worth *= unit
        return sign * value_of(part, measures, max_accuracy_drop) / worth
    if part.name == "sparsity":
        return -sign * math.log2(max(1 - measures["sparsity"], _LEAST_DENSITY))
    raise FatalValueError(
        f"A list of objectives accepts {', '.join((*_IN_DOUBLINGS, *_IN_DROPS))}, "
        "sparsity and val_ metrics, which have a common scale. Received: "
        f"'{part.name}'. Make it the only objective, or use kpk.smallest_within."
    )
