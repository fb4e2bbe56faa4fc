"""Checking, copying and searching the `tf_keras` models that TFMOT works on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tfmot._import import tf_keras


def check_model(model: Any, instead: str) -> None:
    """Raise unless TFMOT can work on a model.

    Args:
        model: A Keras model.
        instead: A sentence that says what to do with a Keras 3 model.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If it is not built, or if it or a nested model is subclassed.
    """
    check_world(model, instead)
    _keras.check_built(model)
    for part in (model, *_models_in(model)):
        if not _keras.is_graph(part):
            raise ValueError(
                "TFMOT copies models layer by layer, so it needs a Sequential or "
                f"functional model. Received: '{part.name}' of class "
                f"{type(part).__name__}. PruningCallback prunes any model."
            )


def check_world(model: Any, instead: str) -> None:
    """Raise a `TypeError` unless a model is a `tf_keras` model."""
    if not _keras.is_tf_keras(model):
        raise TypeError(
            f"TFMOT works on tf_keras (Keras 2) models only. {instead} Received: "
            f"model '{model.name}' of Keras 3."
        )


def clone_layers(model: Any, copy: Callable[[Any], Any]) -> Any:
    """Rebuild a model and its nested models with the same graph from other layers.

    Args:
        model: A Sequential or functional model.
        copy: Maps each layer to its replacement.

    Returns:
        A built model, not compiled.
    """
    keras = tf_keras()

    def each(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return clone_layers(layer, copy)
        return copy(layer)

    cloned = keras.models.clone_model(model, clone_function=each)
    # A Sequential without an Input is cloned without being built.
    if not cloned.built:
        cloned.build_from_config(model.get_build_config())
    return cloned


def wrappers(model: Any, *names: str) -> list[Any]:
    """List the layers, nested ones included, with one of these class names."""
    return [
        layer
        for part in (model, *_models_in(model))
        for layer in part.layers
        # By name, so that a look at a model does not import TFMOT.
        if any(base.__name__ in names for base in type(layer).__mro__)
    ]


def _models_in(model: Any) -> list[Any]:
    found = []
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, tf_keras().Model):
            found += [layer, *_models_in(layer)]
    return found


def layer_paths(model: Any, prefix: str = "") -> dict[int, str]:
    """Map each layer's id to its path: names from the model down, joined by "/"."""
    paths: dict[int, str] = {}
    for layer in model.layers:
        paths[id(layer)] = f"{prefix}{layer.name}"
        if isinstance(layer, tf_keras().Model):
            paths |= layer_paths(layer, f"{prefix}{layer.name}/")
    return paths
