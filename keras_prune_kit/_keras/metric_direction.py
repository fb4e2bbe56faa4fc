"""The direction of a metric: higher is better (`"max"`) or lower is (`"min"`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Literal

from keras_prune_kit._keras.layer_classes import is_of_keras

Direction = Literal["max", "min"]

# Keras' metric classes and functions, in lower case and without underscores.
_RISING = frozenset(
    (
        *(
            "accuracy",
            "binaryaccuracy",
            "categoricalaccuracy",
            "topkcategoricalaccuracy",
        ),
        *("sparsecategoricalaccuracy", "sparsetopkcategoricalaccuracy"),
        *("auc", "precision", "recall", "precisionatrecall", "recallatprecision"),
        *("sensitivityatspecificity", "specificityatsensitivity"),
        *("truepositives", "truenegatives", "fbetascore", "f1score"),
        *("iou", "binaryiou", "meaniou", "onehotiou", "onehotmeaniou"),
        *("r2score", "cosinesimilarity", "pearsoncorrelation"),
        "concordancecorrelation",
    )
)
_FALLING = frozenset(
    (
        *("meanabsoluteerror", "meanabsolutepercentageerror", "meansquarederror"),
        *("meansquaredlogarithmicerror", "rootmeansquarederror", "meanrelativeerror"),
        *("logcosherror", "hinge", "squaredhinge", "categoricalhinge", "poisson"),
        *("kldivergence", "binarycrossentropy", "categoricalcrossentropy"),
        *("sparsecategoricalcrossentropy", "falsepositives", "falsenegatives"),
    )
)

_PLAIN_ACCURACIES = frozenset(
    ("binaryaccuracy", "categoricalaccuracy", "sparsecategoricalaccuracy")
)

# Words in the names of metrics that are not from Keras.
_SCORES = frozenset(
    (
        *("acc", "accuracy", "auc", "precision", "recall", "fmeasure", "fbeta", "f1"),
        *("sensitivity", "specificity", "iou", "r2", "similarity", "correlation"),
    )
)
_ERRORS = frozenset(
    (
        *("loss", "error", "mae", "mse", "mape", "msle", "rmse", "hinge", "logcosh"),
        *("poisson", "divergence", "kld", "crossentropy", "bce", "ce"),
    )
)
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")


def metric_direction(model: Any, name: str) -> Direction | None:
    """Return `"max"` if a higher metric is better, `"min"` if a lower one is.

    The metric object decides: Keras 3's `_direction`, or its Keras class or function.
    Otherwise the last known word of the metric's name decides (`recall_time_mae` is an
    error); the name of an output never does.

    Args:
        model: A compiled model.
        name: The name of the metric in `evaluate` or in the logs of `fit`. Keras
            creates most metric objects in the first `fit` or `evaluate`.

    Returns:
        `"max"`, `"min"`, or `None` if neither the object nor the name tells.
    """
    metrics = logged_metrics(model)
    # Not always: a user's own metric may begin with `val_`.
    if name not in metrics:
        name = name.removeprefix("val_")
    metric = metrics.get(name)
    return _of_object(metric) or _of_name(_own_name(model, name, metric))


def known_direction(name: str, direction: str | None) -> str:
    """Return the direction of a metric, or raise if it is unknown.

    Raises:
        ValueError: If `direction` is `None`.
    """
    if direction is None:
        raise ValueError(
            f"It is not known whether a higher or a lower '{name}' is better: it is "
            "not a Keras metric, and its name does not tell. Pass mode='max' or "
            "mode='min', or choose another metric."
        )
    return direction


def metric_names(model: Any, logged: Iterable[str]) -> tuple[str, ...]:
    """Return the names of logged metrics without losses, in the order of `compile`.

    Args:
        model: A compiled model.
        logged: The names in its logs, in any order; Keras 3 sorts them alphabetically.
    """
    ordered = dict.fromkeys((*logged_metrics(model), *logged))
    # A metric that copies lack could not be compared.
    known = set(logged) - _left_over(model)
    return tuple(name for name in ordered if name in known and not _is_loss_name(name))


def _left_over(model: Any) -> set[str]:
    """Return names of metrics that Keras 3 keeps from an earlier `compile`.

    A `compile` without metrics does not clear them. A copy, compiled once, lacks them.
    """
    config = model._compile_config.config
    if config.get("metrics") is None and config.get("weighted_metrics") is None:
        container = getattr(model, "_compile_metrics", None)
        return set(container.result()) if container and container.built else set()
    return set()


def logged_metrics(model: Any) -> dict[str, Any]:
    """Return the metric objects by their names in the logs, in the order of `compile`.

    Args:
        model: A compiled model; before its first `fit` or `evaluate` most metrics are
            missing.
    """
    found: dict[str, Any] = {}
    for metric in model.metrics:
        if type(metric).__name__ != "CompileMetrics":
            found[metric.name] = metric
        elif metric.built:  # Keras 3 adds the output to their names in results only.
            found |= dict(zip(metric.result(), metric.metrics, strict=True))
    return found


def is_plain_accuracy(model: Any, name: str) -> bool:
    """Return True if Keras creates the metric from `"accuracy"` and the label shape."""
    metric = logged_metrics(model).get(name)
    if metric is None:  # Not created before the first `fit` or `evaluate`.
        return name in ("accuracy", "acc")
    return not _PLAIN_ACCURACIES.isdisjoint(_kinds(metric))


def _is_loss_name(name: str) -> bool:
    """Return True if a log name is the loss of the model or of one output."""
    return name.split("_")[-1] == "loss"


def _of_object(metric: Any) -> Direction | None:
    mark = getattr(metric, "_direction", None)  # Keras 3, of some classes only.
    if mark in ("up", "down"):
        return "max" if mark == "up" else "min"
    if _is_loss(getattr(metric, "_fn", None)):
        return "min"
    for kind in _kinds(metric):
        if kind in _RISING:
            return "max"
        if kind in _FALLING:
            return "min"
    return None


def _kinds(metric: Any) -> list[str]:
    """Return the normalized names of a metric's Keras classes and Keras function."""
    bases = [*type(metric).__mro__, getattr(metric, "_fn", None)]
    return [
        base.__name__.replace("_", "").lower()
        for base in bases
        if is_of_keras(base) and hasattr(base, "__name__")
    ]


def _is_loss(function: Any) -> bool:
    """Return True for a loss function or object of Keras; all are minimized."""
    worlds = [
        sys.modules[name] for name in ("keras", "tf_keras") if name in sys.modules
    ]
    if isinstance(function, tuple(world.losses.Loss for world in worlds)):
        return True
    module = getattr(function, "__module__", None) or ""
    return is_of_keras(function) and ".losses" in module


def _own_name(model: Any, name: str, metric: Any) -> str:
    """Return the name without the output name that Keras adds for several outputs."""
    if metric is not None and metric.name != name:
        return metric.name  # Keras 3 adds the output name in the logs only.
    outputs = getattr(model, "output_names", None) or ()
    if len(outputs) > 1:
        # Longest first: `out` is also a prefix of the metrics of `out_2`.
        for output in sorted(outputs, key=len, reverse=True):
            if name.startswith(f"{output}_"):
                return name.removeprefix(f"{output}_")
    return name


def _of_name(name: str) -> Direction | None:
    for word in reversed([word.lower() for word in _WORD.findall(name)]):
        # Both: the digit of `f1` and `r2` belongs to the word, that of `auc2` does not.
        forms = {word, word.rstrip("0123456789")}
        if forms & _SCORES:
            return "max"
        if forms & _ERRORS:
            return "min"
    return None
