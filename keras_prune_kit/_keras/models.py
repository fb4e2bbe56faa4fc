"""Whole models: which world they are from, retracing, cloning."""

from __future__ import annotations

import copy
import sys
from types import ModuleType
from typing import Any

_WORLDS = ("keras", "tf_keras")


def world(model: object) -> ModuleType:
    """The package that a model is from, right for subclassed models too.

    Args:
        model: A Keras model.

    Returns:
        The module `keras` (Keras 3) or `tf_keras` (Keras 2).

    Raises:
        TypeError: If it is not a Keras model.
    """
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ == "Model" and root in _WORLDS:
            return sys.modules[root]
    raise TypeError(
        "A model of keras (Keras 3) or tf_keras (Keras 2) is needed. "
        f"Received: {type(model).__module__}.{type(model).__qualname__}."
    )


def callback_namespace(model: object) -> ModuleType:
    """The `callbacks` of the model's world."""
    return world(model).callbacks


def check_built(model: Any) -> None:
    """Raises a `ValueError` if the model has no weights yet."""
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built, so it has no weights yet. Start it "
            "with an Input layer, call model.build(input_shape), or call it on one "
            "batch first (a Keras 3 model also gets built by fit itself)."
        )


def optimizer_of(model: Any) -> Any:
    """The compiled optimizer, without a loss-scaling wrapper; `None` if there is none."""
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)


def retrace(model: Any) -> None:
    """Makes the next train step see constraints that came or went.

    A train function traced earlier does not know them. `fit` looks the function up
    at every step, so this also works while it runs.
    """
    if getattr(model, "train_function", None) is not None:
        model.train_function = None
        model.make_train_function()


def clone(model: Any) -> Any:
    """A copy with its own layers and weights, compiled alike with a fresh optimizer.

    Args:
        model: A built and compiled model.

    Raises:
        ValueError: If Keras cannot copy the model, or it was never compiled.
    """
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    if config is None or model.optimizer is None:
        raise ValueError(
            f"Model '{model.name}' must be compiled, so that a copy of it can be "
            "trained. Call model.compile(optimizer, loss, metrics) first."
        )
    copied = _copy_layers(model)
    copied.set_weights(model.get_weights())
    copied.compile(
        **{
            **config,
            "optimizer": _fresh(model.optimizer),
            "metrics": _fresh(config.get("metrics")),
            "weighted_metrics": _fresh(config.get("weighted_metrics")),
        }
    )
    return copied


def _copy_layers(model: Any) -> Any:
    try:
        copied = world(model).models.clone_model(model)
    except (ValueError, TypeError, NotImplementedError):
        # Subclassed models: both worlds copy them the way they pickle them.
        copied = None
    if copied is not None and copied.built:
        return copied
    try:
        return copy.deepcopy(model)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"Keras cannot copy model '{model.name}' ({type(model).__name__}); give "
            "its class get_config() and register it with "
            "keras.saving.register_keras_serializable(), or prune the model itself "
            "with PruningCallback."
        ) from error


def _fresh(item: Any) -> Any:
    """The same optimizer or metrics without their state."""
    if isinstance(item, dict):
        return {key: _fresh(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_fresh(value) for value in item]
    if hasattr(item, "get_config") and not isinstance(item, type):
        return type(item).from_config(item.get_config())
    return item
