"""Copies of functional models with other layers in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_prune_kit import _keras
from keras_prune_kit._keras import Call


def rebuild(
    model: Any,
    copy: Callable[[Any], Any],
    call: Callable[[Call, Any, tuple[Any, ...], dict[str, Any]], Any],
) -> Any:
    """Rebuild a model with the same inputs from other layers.

    Args:
        model: A built Sequential or functional model.
        copy: Maps each layer or operation to its replacement.
        call: Computes the outputs of one call from the old call, the new layer and
            its arguments; it may add layers or leave this one out.

    Returns:
        A model of the same kind, Sequential or functional; not compiled.
    """
    # Keras' call_function receives no node; clone_model runs calls in graph order.
    calls = iter(_keras.graph_of(model).calls)

    def call_next(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return call(next(calls), layer, args, kwargs)

    functional = _keras.functional_of(model)
    with _keras.uncompiled(model):
        clone = keras.models.clone_model(
            functional,
            _keras.inputs_like(functional),
            clone_function=copy,
            call_function=call_next,
        )
    # A Sequential is cloned by way of the functional model inside it.
    if isinstance(model, keras.Sequential):
        return keras.Sequential(clone.layers, name=model.name)
    return clone
