"""Functions that layers were given, and handing them over as they are.

Keras would look them up by name or rebuild them from bytecode.
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

# The functions that layers being copied were given, by the names of their stand-ins.
_handed_over: dict[str, Any] = {}

_FUNCTIONS = (types.FunctionType, functools.partial)


@contextlib.contextmanager
def named_functions(parts: list[Any]) -> Iterator[dict[str, Any]]:
    """Put stand-ins with names of their own in place of functions, for `get_config`.

    Yields:
        The functions by the names of their stand-ins.
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
    """List the functions that a layer was given, by attribute; not its methods."""
    return {
        key: value
        for key, value in vars(layer).items()
        if _is_function(value) and not hasattr(type(layer), key)
    }


def _is_function(value: Any) -> bool:
    """Return True for functions that Keras may not find again by their name."""
    return isinstance(value, _FUNCTIONS) and not is_of_keras(value)


def _stand_in(name: str) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        # Keras 2 makes a Lambda inside another layer from the bytecode of this, which
        # brings no module along.
        from keras_prune_kit._keras.copying.functions import (
            call_handed_over,
        )

        return call_handed_over(name, args, kwargs)

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


def call_handed_over(name: str, args: Any, kwargs: Any) -> Any:
    """Call the function that a stand-in stands for, while a copy is made."""
    return _handed_over[name](*args, **kwargs)


def hand_over(parts: list[Any], fresh: list[Any]) -> None:
    """Give copied layers the functions themselves where they got stand-ins."""
    for source, target in zip(parts, fresh, strict=False):
        for key, value in _functions_of(source).items():
            if key in _functions_of(target):
                vars(target)[key] = value
        _adapt(source, target)


def _adapt(source: Any, target: Any) -> None:
    """Hand over what Keras 2 neither configures nor saves of an adapted layer."""
    if type(source).__name__ == "Discretization" and is_keras_2(source):
        target.bin_boundaries = list(source.bin_boundaries)


@contextlib.contextmanager
def loading(parts: list[Any], functions: dict[str, Any]) -> Iterator[None]:
    """Let Keras find what a configuration names, and load Lambdas inside others."""
    keras = world_of_layer(parts[0])
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
    """Let Keras 3 know a layer again that is in the configuration of another one."""
    if is_keras_2(layer):
        return contextlib.nullcontext()
    library = importlib.import_module("keras.src.saving.serialization_lib")
    return library.ObjectSharingScope()


def _vars(part: Any) -> list[Any]:
    """List the values of a layer's attributes, those in lists and dicts too."""
    found = []
    for value in vars(part).values():
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, list | tuple):
            found += value
        else:
            found.append(value)
    return found
