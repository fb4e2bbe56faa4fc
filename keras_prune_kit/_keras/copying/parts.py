"""Kinds and parts of layers, as copying distinguishes them."""

from __future__ import annotations

import sys
import types
from typing import Any

from keras_prune_kit._keras.layer_classes import WORLDS, is_of_keras
from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.weights import walk


class CopyError(ValueError):
    """A layer or model cannot be copied; the message contains the reason from Keras."""


def is_graph(model: Any) -> bool:
    """Return True for Sequential and functional models."""
    if not any(base.__name__ == "Model" for base in type(model).__mro__):
        return False
    keras = world(model)
    is_functional = getattr(model, "_is_graph_network", False) or (
        keras.__name__ == "keras" and hasattr(model, "_nodes_by_depth")
    )
    return isinstance(model, keras.Sequential) or is_functional


def parts_of(layer: Any) -> list[Any]:
    """Return a layer and all layers inside it once, outer layers first."""
    inside = (
        [layers[-1] for _, layers in walk(layer)]
        if hasattr(layer, "layers") or hasattr(layer, "_flatten_layers")
        else []  # An operation, which contains no layers.
    )
    # By identity: a shared layer occurs at several paths.
    return list({id(part): part for part in (layer, *inside)}.values())


def world_of_layer(layer: Any) -> types.ModuleType:
    """Return the Keras package that a layer or operation is from."""
    for base in type(layer).__mro__:
        root = base.__module__.partition(".")[0]
        if root in WORLDS:
            return sys.modules[root]
    raise TypeError(f"A Keras layer is needed. Received: {type(layer).__name__}.")


def is_keras_2(layer: Any) -> bool:
    """Return True for a layer of `tf_keras`."""
    return world_of_layer(layer).__name__ == "tf_keras"


def advice_on(layer: Any) -> str:
    """Return the advice for an error message about a layer that cannot be copied."""
    if is_graph(layer) and is_of_keras(type(layer)):
        return "Prune the model itself with PruningCallback."
    return (
        f"Give class {type(layer).__name__} a get_config() that returns all arguments "
        "of its constructor, or prune the model itself with PruningCallback."
    )
