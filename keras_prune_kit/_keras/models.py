"""Whole models: which world they are from, retracing, cloning."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_WORLDS = ("keras", "tf_keras")


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
        if base.__name__ == "Model" and root in _WORLDS:
            return sys.modules[root]
    raise TypeError(
        "A model of keras (Keras 3) or tf_keras (Keras 2) is needed as "
        f"{name}. Received: {type(model).__module__}.{type(model).__qualname__}."
    )


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
    return ".weights.h5" if world(model).__name__ == "keras" else ".h5"


def optimizer_of(model: Any) -> Any:
    """The compiled optimizer without a loss-scaling wrapper, or `None`."""
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)


def state_of(model: Any) -> list[Any]:
    """All variables that training changes: the weights and what the optimizer keeps."""
    kept: Any = getattr(getattr(model, "optimizer", None), "variables", [])
    if not isinstance(kept, list):  # A method, of Keras 2's legacy optimizers.
        kept = kept()
    return [*trained_model(model).weights, *kept]


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
    check_compiled(model)
    copied = _copy_layers(model)
    copied.set_weights(model.get_weights())
    compile_like(model, copied)
    return copied


def compile_like(model: Any, copied: Any, **changes: Any) -> None:
    """Compiles a copy as the model was, with a fresh optimizer; if it was at all.

    Args:
        model: The model.
        copied: The copy.
        **changes: Arguments of `compile` that are to differ.
    """
    if not is_compiled(model):
        return
    config = model._compile_config.config
    copied.compile(
        **{
            **config,
            "optimizer": _fresh(model.optimizer),
            "metrics": _fresh(config.get("metrics")),
            "weighted_metrics": _fresh(config.get("weighted_metrics")),
            **changes,
        }
    )


def is_compiled(model: Any) -> bool:
    """Whether a model has a loss, metrics and an optimizer."""
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    return config is not None and model.optimizer is not None


def check_compiled(model: Any) -> None:
    """Raises a `ValueError` if the model was never compiled."""
    if not is_compiled(model):
        raise ValueError(
            f"Model '{model.name}' must be compiled, so that a copy of it can be "
            "trained. Call model.compile(optimizer, loss, metrics) first."
        )


def _copy_layers(model: Any) -> Any:
    try:
        copied = world(model).models.clone_model(model)
        if not copied.built:
            copied.build_from_config(model.get_build_config())
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"Keras cannot copy model '{model.name}' of class {type(model).__name__}. "
            "Give the class get_config(), or prune the model itself with "
            "PruningCallback."
        ) from error
    return copied


def _fresh(item: Any) -> Any:
    """The same optimizer or metrics without their state."""
    if isinstance(item, dict):
        return {key: _fresh(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_fresh(value) for value in item]
    if hasattr(item, "get_config") and not isinstance(item, type):
        return type(item).from_config(item.get_config())
    return item


def scorer(model: Any, predictions: Any) -> Any:
    """A model that takes predictions as they are, with the metrics of another.

    So Keras itself scores what some other runtime predicted.

    Args:
        model: A compiled model.
        predictions: What its outputs look like: an array, or a list of them.
    """
    layers, config = world(model).layers, model._compile_config.config
    arrays = predictions if isinstance(predictions, list) else [predictions]
    names = getattr(model, "output_names", None) or [None] * len(arrays)
    inputs = [layers.Input(array.shape[1:], dtype=array.dtype.name) for array in arrays]
    outputs = [
        layers.Activation("linear", name=name)(tensor)
        for name, tensor in zip(names, inputs, strict=True)
    ]
    if len(arrays) == 1:
        inputs, outputs = inputs[0], outputs[0]
    passthrough = world(model).Model(inputs, outputs)
    passthrough.compile(
        loss=config.get("loss"),
        loss_weights=config.get("loss_weights"),
        metrics=_fresh(config.get("metrics")),
        weighted_metrics=_fresh(config.get("weighted_metrics")),
    )
    return passthrough
