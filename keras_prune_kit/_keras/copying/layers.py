"""Re-creation of a layer from its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from keras_prune_kit._keras.copying.functions import (
    hand_over,
    loading,
    named_functions,
    sharing,
)
from keras_prune_kit._keras.copying.parts import CopyError, advice_on, parts_of
from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import first_line

_OF_EVERY_LAYER = ("name", "trainable", "dtype")


def copy_layer(layer: Any, changes: Mapping[str, Any] | None = None) -> Any:
    """Create a layer or operation of the same configuration, without its state.

    Args:
        layer: The layer or operation.
        changes: New values for entries of its configuration; a dict changes entries of
            the dict that is there. Defaults to `None`.

    Raises:
        CopyError: If it cannot be created from its configuration.
    """
    try:
        if _is_lambda(layer):
            # Its `get_config` turns the function into bytecode or into a name.
            return _copy_lambda(layer)
        return _from_config(layer, changes or {})
    except Exception as error:  # A custom layer can raise any error.
        raise CopyError(
            f"Keras cannot copy layer '{layer.name}' of class {type(layer).__name__}: "
            f"{first_line(error)}. {advice_on(layer)}"
        ) from error


def _from_config(layer: Any, changes: Mapping[str, Any]) -> Any:
    parts = parts_of(layer)
    with named_functions(parts) as functions, sharing(layer):
        config = _accepted(layer, _unbuilt(layer.get_config()))
        config = _changed(config, changes)
    with loading(parts, functions), sharing(layer):
        fresh = type(layer).from_config(config)
        hand_over(parts, parts_of(fresh))
    return fresh


def _changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """Return a configuration with changes; those in absent dicts are left out."""
    changed = dict(config)
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if isinstance(changed.get(key), dict):
                changed[key] = _changed(changed[key], value)
        else:
            changed[key] = value
    return changed


def _accepted(layer: Any, config: Any) -> Any:
    """Drop the keys that Keras adds to every config if the constructor rejects them.

    Name and trainability are copied later, with the state.
    """
    parameters = inspect.signature(type(layer).__init__).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds or not isinstance(config, dict):
        return config
    return {
        key: value
        for key, value in config.items()
        if key in parameters or key not in _OF_EVERY_LAYER
    }


def _unbuilt(config: Any) -> Any:
    """Drop the build configs of inner layers, which the outer layers will build."""
    if isinstance(config, dict):
        is_object = "class_name" in config
        return {
            key: _unbuilt(value)
            for key, value in config.items()
            if not (is_object and key == "build_config")
        }
    return [_unbuilt(item) for item in config] if type(config) is list else config


def _is_lambda(layer: Any) -> bool:
    return is_of_keras(type(layer)) and type(layer).__name__ == "Lambda"


def _copy_lambda(layer: Any) -> Any:
    return type(layer)(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        trainable=layer.trainable,
        # The policy is private in Keras 2.
        dtype=getattr(layer, "dtype_policy", None) or layer._dtype_policy,
    )
