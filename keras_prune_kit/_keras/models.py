"""Queries of whole models: their Keras package, state and optimizer."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from keras_prune_kit._keras.layer_classes import WORLDS

# Parts of Keras' messages for errors in layers.
_COLOR = re.compile(r"\x1b\[\d*m")
_CAUSE = "Exception encountered:"
_WRAPPED = "Exception encountered when calling"


def world(model: object, name: str = "model") -> ModuleType:
    """Return the Keras package that a model, subclassed or not, is from.

    Args:
        model: A Keras model.
        name: The name of the argument, for messages. Defaults to `"model"`.

    Returns:
        The module `keras` (Keras 3) or `tf_keras` (Keras 2).

    Raises:
        TypeError: If it is not a Keras model.
    """
    # A subclassed model's own class is from a user's module, but a base is Keras'.
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ == "Model" and root in WORLDS:
            return sys.modules[root]
    raise TypeError(
        "A model of keras (Keras 3) or tf_keras (Keras 2) is needed as "
        f"{name}. Received: {type(model).__module__}.{type(model).__qualname__}."
    )


def backend_of(model: object) -> str:
    """Return the name of a model's backend, such as `"tensorflow"` or `"jax"`.

    Raises:
        TypeError: If it is not a Keras model.
    """
    return world(model).backend.backend()


def is_tf_keras(model: Any) -> bool:
    """Return True for a model of `tf_keras` (Keras 2).

    Raises:
        TypeError: If it is not a Keras model.
    """
    return world(model).__name__ == "tf_keras"


def trained_model(model: Any) -> Any:
    """Return the student of a `keras.distillation.Distiller`, else the model itself.

    Args:
        model: A Keras model, such as the `model` attribute of a callback.
    """
    # Keras 2 and earlier versions of Keras 3 have no distillation.
    distillation = getattr(sys.modules.get("keras"), "distillation", None)
    if distillation is not None and isinstance(model, distillation.Distiller):
        return model.student
    return model


def callback_namespace(model: object) -> ModuleType:
    """Return the `callbacks` module of the model's Keras package."""
    return world(model).callbacks


def is_built(model: Any) -> bool:
    """Return True if a model is built and has weights."""
    model = trained_model(model)
    return bool(model.built and model.weights)


def fixed_batch(model: Any) -> int | None:
    """Return the batch size if it is fixed, as for `stateful=True`, else `None`."""
    inputs = getattr(model, "inputs", None) or ()
    return inputs[0].shape[0] if inputs and len(inputs[0].shape) else None


def check_built(model: Any) -> None:
    """Raise a `ValueError` if the model is not built."""
    model = trained_model(model)
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built, so it has no weights yet. Start it "
            "with an Input layer, call model.build(input_shape), or call it on one "
            "batch first; fit would build it too late, in its first step."
        )


def weights_ending(model: object) -> str:
    """Return the file suffix for which `save_weights` writes weights only.

    For Keras 2 this is the legacy `.h5`: its `.weights.h5` also restores metrics, which
    fails if they are distributed over several devices.
    """
    return ".h5" if is_tf_keras(model) else ".weights.h5"


def optimizer_of(model: Any) -> Any:
    """Return the compiled optimizer without a loss-scaling wrapper, or `None`."""
    return inner_optimizer(getattr(model, "optimizer", None))


def inner_optimizer(optimizer: Any) -> Any:
    """Return the optimizer inside a loss-scaling wrapper, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def variables_among(weights: Iterable[Any]) -> list[Any]:
    """Return the weights without the lookup tables that Keras 2 lists among them."""
    return [weight for weight in weights if hasattr(weight, "assign")]


def first_line(error: Exception) -> str:
    """Return the cause of an error as one line without a final period.

    Keras wraps errors of layers: the cause is on a later line, partly with color codes.
    """
    lines = [line.strip() for line in _COLOR.sub("", str(error)).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    named = [line for line in lines if line.startswith(_CAUSE)]
    if named:
        return named[0].removeprefix(_CAUSE).strip().rstrip(".")
    is_wrapped = lines[0].startswith(_WRAPPED) and len(lines) > 1
    return lines[1 if is_wrapped else 0].rstrip(".")
