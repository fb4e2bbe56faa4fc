"""What kind of model the bridge can work on, and copying it layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tfmot._import import tf_keras


def check_model(model: Any, instead: str) -> None:
    """Raises unless TFMOT can work on the model.

    Args:
        model: A model.
        instead: What to do with a Keras 3 model, as a sentence.

    Raises:
        TypeError: If it is no model, or one of Keras 3.
        ValueError: If it is not built, or a model in it is subclassed.
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
    """Raises a `TypeError` for anything but a `tf_keras` model."""
    if not _keras.is_tf_keras(model):
        raise TypeError(
            f"TFMOT works on tf_keras (Keras 2) models alone. {instead} Received: "
            f"model '{model.name}' of Keras 3."
        )


def clone_layers(model: Any, copy: Callable[[Any], Any]) -> Any:
    """A model of the same graph from other layers, nested models included.

    Args:
        model: A Sequential or functional model.
        copy: Gives the layer that takes the place of a layer.
    """
    keras = tf_keras()

    def each(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return clone_layers(layer, copy)
        return copy(layer)

    cloned = keras.models.clone_model(model, clone_function=each)
    if not cloned.built:
        cloned.build_from_config(model.get_build_config())
    return cloned


def wrappers(model: Any, *names: str) -> list[Any]:
    """The wrappers in a model and the models in it, by the name of their class."""
    return [
        layer
        for part in (model, *_models_in(model))
        for layer in part.layers
        if any(base.__name__ in names for base in type(layer).__mro__)
    ]


def _models_in(model: Any) -> list[Any]:
    found = []
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, tf_keras().Model):
            found += [layer, *_models_in(layer)]
    return found


def layer_paths(model: Any, prefix: str = "") -> dict[int, str]:
    """Where each layer is, by its id: the names from the model down, joined by "/"."""
    paths: dict[int, str] = {}
    for layer in model.layers:
        paths[id(layer)] = f"{prefix}{layer.name}"
        if isinstance(layer, tf_keras().Model):
            paths |= layer_paths(layer, f"{prefix}{layer.name}/")
    return paths
