"""Whole models: which world they are from, whether they are built, retracing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from keras_prune_kit._keras.layer_classes import WORLDS

# How Keras tells of errors in layers.
_COLOR = re.compile(r"\x1b\[\d*m")
_CAUSE = "Exception encountered:"
_WRAPPED = "Exception encountered when calling"


def world(model: object, name: str = "model") -> ModuleType:
    """The package that a model is from, right for subclassed models too.

    Args:
        model: A Keras model.
        name: What the argument is called. Defaults to `"model"`.

    Returns:
        The module `keras` (Keras 3) or `tf_keras` (Keras 2).

    Raises:
        TypeError: If it is not a Keras model.
    """
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ == "Model" and root in WORLDS:
            return sys.modules[root]
    raise TypeError(
        "A model of keras (Keras 3) or tf_keras (Keras 2) is needed as "
        f"{name}. Received: {type(model).__module__}.{type(model).__qualname__}."
    )


def is_tf_keras(model: Any) -> bool:
    """Return True for a model of `tf_keras` (Keras 2).

    Raises:
        TypeError: If it is not a Keras model.
    """
    return world(model).__name__ == "tf_keras"


def trained_model(model: Any) -> Any:
    """The model that training is about.

    Of a `keras.distillation.Distiller` that is its student, of others the model itself.

    Args:
        model: A Keras model, such as callbacks are given.
    """
    distillation = getattr(sys.modules.get("keras"), "distillation", None)
    if distillation is not None and isinstance(model, distillation.Distiller):
        return model.student
    return model


def callback_namespace(model: object) -> ModuleType:
    """The `callbacks` of the model's world."""
    return world(model).callbacks


def is_built(model: Any) -> bool:
    """Return True if a model has its weights."""
    model = trained_model(model)
    return bool(model.built and model.weights)


def fixed_batch(model: Any) -> int | None:
    """Return the number of samples that a model takes at once, if that is fixed.

    Layers with `stateful=True` need it to be.
    """
    inputs = getattr(model, "inputs", None) or ()
    return inputs[0].shape[0] if inputs and len(inputs[0].shape) else None


def check_built(model: Any) -> None:
    """Raises a `ValueError` if the model has no weights yet."""
    model = trained_model(model)
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built, so it has no weights yet. Start it "
            "with an Input layer, call model.build(input_shape), or call it on one "
            "batch first; fit would build it too late, in its first step."
        )


def weights_ending(model: object) -> str:
    """How the name of a file ends that `save_weights` writes weights alone to.

    Keras 2 has a newer form with another ending, but that brings back metrics too,
    which fails where they are spread over several devices.
    """
    return ".h5" if is_tf_keras(model) else ".weights.h5"


def optimizer_of(model: Any) -> Any:
    """The compiled optimizer without a loss-scaling wrapper, or `None`."""
    return inner_optimizer(getattr(model, "optimizer", None))


def inner_optimizer(optimizer: Any) -> Any:
    """Return the optimizer inside of one that scales the loss, else itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def state_of(model: Any) -> list[Any]:
    """All variables that training changes: the weights and what the optimizer keeps."""
    kept: Any = getattr(getattr(model, "optimizer", None), "variables", [])
    if not isinstance(kept, list):  # A method, of Keras 2's legacy optimizers.
        kept = kept()
    return [*variables_among(trained_model(model).weights), *kept]


def variables_among(weights: Iterable[Any]) -> list[Any]:
    """Weights without the tables of texts that Keras 2 counts among them."""
    return [weight for weight in weights if hasattr(weight, "assign")]


def retrace(model: Any) -> None:
    """Makes the next train step see constraints that came or went.

    A train function traced earlier does not know them. `fit` looks the function up
    at every step, so this also works while it runs.
    """
    if getattr(model, "train_function", None) is not None:
        model.train_function = None
        model.make_train_function()


def first_line(error: Exception) -> str:
    """Return what an error means in one line, without a full stop.

    Keras wraps errors of layers: the cause stands further down, partly in color.
    """
    lines = [line.strip() for line in _COLOR.sub("", str(error)).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    named = [line for line in lines if line.startswith(_CAUSE)]
    if named:
        return named[0].removeprefix(_CAUSE).strip().rstrip(".")
    is_wrapped = lines[0].startswith(_WRAPPED) and len(lines) > 1
    return lines[1 if is_wrapped else 0].rstrip(".")
