"""Which way a metric points: whether more of it is better or less."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Literal

from keras_prune_kit._keras.layer_classes import is_of_keras

Direction = Literal["max", "min"]

# Keras' own classes and functions of metrics, without capitals and underscores.
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

# What such metrics are called, word by word.
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
    """Says whether more of a metric is better (`"max"`) or less (`"min"`).

    The metric's object knows it: by Keras 3's own mark, or as one of Keras' classes,
    a subclass, or a function of Keras. Of others the words of the metric's own name
    decide, never those of an output's, and the last one that is known: a
    `recall_time_mae` is an error.

    Args:
        model: A compiled model.
        name: What `evaluate` or the logs of `fit` call the metric; Keras makes most
            metrics in the first `fit` or `evaluate`.

    Returns:
        `"max"`, `"min"`, or `None` if nothing says which.
    """
    metrics = logged_metrics(model)
    if name not in metrics:
        name = name.removeprefix("val_")
    metric = metrics.get(name)
    return _of_object(metric) or _of_name(_own_name(model, name, metric))


def known_direction(name: str, direction: str | None) -> str:
    """The direction of a metric where there must be one.

    Raises:
        ValueError: If nobody knows it.
    """
    if direction is None:
        raise ValueError(
            f"Nobody knows whether more or less of '{name}' is better: it is no metric "
            "of Keras, and its name does not say. Pass mode='max' or mode='min', or "
            "name another metric."
        )
    return direction


def metric_names(model: Any, logged: Iterable[str]) -> tuple[str, ...]:
    """The names of metrics that are no losses, in the order of `compile`.

    Args:
        model: A compiled model.
        logged: What its logs hold, in any order; Keras 3 sorts them by the alphabet.
    """
    ordered = dict.fromkeys((*logged_metrics(model), *logged))
    known = set(logged) - _left_over(model)
    return tuple(name for name in ordered if name in known and not _is_loss_name(name))


def _left_over(model: Any) -> set[str]:
    """Metrics of a `compile` before, which Keras 3 keeps after one without any.

    They are no part of how the model is compiled, so a copy has none of them.
    """
    config = model._compile_config.config
    if config.get("metrics") is None and config.get("weighted_metrics") is None:
        container = getattr(model, "_compile_metrics", None)
        return set(container.result()) if container and container.built else set()
    return set()


def logged_metrics(model: Any) -> dict[str, Any]:
    """The metrics of a model by the names that its logs have, in the order of compile.

    Args:
        model: A compiled model; before its first `fit` or `evaluate` most are missing.
    """
    found: dict[str, Any] = {}
    for metric in model.metrics:
        if type(metric).__name__ != "CompileMetrics":
            found[metric.name] = metric
        elif metric.built:  # Keras 3 names them anew in each result.
            found |= dict(zip(metric.result(), metric.metrics, strict=True))
    return found


def is_plain_accuracy(model: Any, name: str) -> bool:
    """Whether a metric is what Keras makes of `"accuracy"`, by the form of labels."""
    metric = logged_metrics(model).get(name)
    if metric is None:  # Keras has not made it yet.
        return name in ("accuracy", "acc")
    return not _PLAIN_ACCURACIES.isdisjoint(_kinds(metric))


def _is_loss_name(name: str) -> bool:
    """Whether a name in the logs is that of a loss, of the model or of an output."""
    return name.split("_")[-1] == "loss"


def _of_object(metric: Any) -> Direction | None:
    mark = getattr(metric, "_direction", None)
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
    """The names of Keras' classes and of the function behind a metric."""
    bases = [*type(metric).__mro__, getattr(metric, "_fn", None)]
    return [
        base.__name__.replace("_", "").lower()
        for base in bases
        if is_of_keras(base) and hasattr(base, "__name__")
    ]


def _is_loss(function: Any) -> bool:
    """Whether it is a loss of Keras, or one made from them: all are to be minimized."""
    worlds = [
        sys.modules[name] for name in ("keras", "tf_keras") if name in sys.modules
    ]
    if isinstance(function, tuple(world.losses.Loss for world in worlds)):
        return True
    module = getattr(function, "__module__", None) or ""
    return is_of_keras(function) and ".losses" in module


def _own_name(model: Any, name: str, metric: Any) -> str:
    """The metric's part of a name: with several outputs each has its output's first."""
    if metric is not None and metric.name != name:
        return metric.name  # Keras 3 puts the output before it in the logs alone.
    outputs = getattr(model, "output_names", None) or ()
    if len(outputs) > 1:
        for output in sorted(outputs, key=len, reverse=True):
            if name.startswith(f"{output}_"):
                return name.removeprefix(f"{output}_")
    return name


def _of_name(name: str) -> Direction | None:
    for word in reversed([word.lower() for word in _WORD.findall(name)]):
        forms = {word, word.rstrip("0123456789")}
        if forms & _SCORES:
            return "max"
        if forms & _ERRORS:
            return "min"
    return None
