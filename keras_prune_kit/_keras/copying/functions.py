"""Sharing of the functions that layers were given between a layer and its copy.

Keras would look functions up by name or rebuild them from bytecode.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any

from keras_prune_kit._keras.copying.parts import is_keras_2, world_of_layer
from keras_prune_kit._keras.layer_classes import is_of_keras

# Functions of the layers that are being copied, by the names of their stand-ins.
_handed_over: dict[str, Any] = {}

_FUNCTIONS = (types.FunctionType, functools.partial)


@contextlib.contextmanager
def named_functions(parts: list[Any]) -> Iterator[dict[str, Any]]:
    """Replace functions by stand-ins with unique names, for calls of `get_config`.

    Yields:
        The functions, by the names of their stand-ins.
    """
    functions: dict[str, Any] = {}
    held = [
        (vars(part), key, value)
        for part in parts
        for key, value in _functions_of(part).items()
    ]
    try:
        for attributes, key, value in held:
            name = f"keras_prune_kit_function_{len(functions)}"
            functions[name] = value
            attributes[key] = _stand_in(name)
        yield functions
    finally:
        for attributes, key, value in held:
            attributes[key] = value


def _functions_of(layer: Any) -> dict[str, Any]:
    """Return the functions that a layer was given, by attribute, without methods."""
    return {
        key: value
        for key, value in vars(layer).items()
        # Keras 3 sets wrapped methods such as `build` on every instance.
        if _is_function(value) and not hasattr(type(layer), key)
    }


def _is_function(value: Any) -> bool:
    """Return True for a function that Keras may not find by its name."""
    return isinstance(value, _FUNCTIONS) and not is_of_keras(value)


def _stand_in(name: str) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        # Keras 2 rebuilds a Lambda inside another layer from this function's bytecode,
        # without the globals of this module, so the import must be in here.
        from keras_prune_kit._keras.copying.functions import (
            call_handed_over,
        )

        return call_handed_over(name, args, kwargs)

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


def call_handed_over(name: str, args: Any, kwargs: Any) -> Any:
    """Call the original function of a stand-in, during copying only."""
    return _handed_over[name](*args, **kwargs)


def hand_over(parts: list[Any], fresh: list[Any]) -> None:
    """Replace the stand-ins in copied layers by the original functions."""
    for source, target in zip(parts, fresh, strict=False):
        for key, value in _functions_of(source).items():
            if key in _functions_of(target):
                vars(target)[key] = value
        _adapt(source, target)


def _adapt(source: Any, target: Any) -> None:
    """Copy the adapted state that Keras 2 neither configures nor saves."""
    if type(source).__name__ == "Discretization" and is_keras_2(source):
        target.bin_boundaries = list(source.bin_boundaries)


@contextlib.contextmanager
def loading(parts: list[Any], functions: dict[str, Any]) -> Iterator[None]:
    """Let Keras resolve the custom classes and functions of the layers being copied.

    Safe mode is off, as it refuses a Lambda inside another layer.
    """
    keras = world_of_layer(parts[0])
    # Initializers, constraints and the like may be of the user's own classes, too.
    objects = [*parts, *(v for part in parts for v in _vars(part))]
    classes = {type(item) for item in objects if hasattr(item, "get_config")}
    known = {
        name: kind
        for kind in classes
        if not is_of_keras(kind)
        for name in (kind.__name__, keras.saving.get_registered_name(kind))
    }
    library = importlib.import_module(f"{keras.__name__}.src.saving.serialization_lib")
    _handed_over.update(functions)
    try:
        with (
            keras.saving.custom_object_scope({**known, **functions}),
            library.SafeModeScope(False),
        ):
            yield
    finally:
        for name in functions:
            del _handed_over[name]


def sharing(layer: Any) -> contextlib.AbstractContextManager[Any]:
    """Let Keras 3 recognize a layer that occurs twice in a configuration as shared."""
    if is_keras_2(layer):
        return contextlib.nullcontext()
    library = importlib.import_module("keras.src.saving.serialization_lib")
    return library.ObjectSharingScope()


def _vars(part: Any) -> list[Any]:
    """Return the values of a layer's attributes, including those in lists and dicts."""
    found = []
    for value in vars(part).values():
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, list | tuple):
            found += value
        else:
            found.append(value)
    return found
