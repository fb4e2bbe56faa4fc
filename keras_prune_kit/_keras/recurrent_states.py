"""The states that stateful recurrent layers carry from one batch to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import variables_of
from keras_prune_kit._keras.weights import walk


@contextlib.contextmanager
def at_rest(model: Any) -> Iterator[None]:
    """Reset the states of stateful layers and restore them after the `with` block.

    Args:
        model: A built Keras model of either world.
    """
    handle = variables_of(model)
    kept = [(state, np.array(handle.read(state))) for state in _states(model)]
    for state, value in kept:
        handle.write(state, np.zeros_like(value))
    try:
        yield
    finally:
        for state, value in kept:
            handle.write(state, value)


def _states(model: Any) -> list[Any]:
    """Return the state variables of all stateful layers, each once."""
    found = {}
    for _, layers in walk(model):
        layer = layers[-1]
        if getattr(layer, "stateful", False):
            for state in _flat(getattr(layer, "states", None)):
                found[id(state)] = state
    return list(found.values())


def _flat(states: Any) -> list[Any]:
    if isinstance(states, list | tuple):
        return [state for item in states for state in _flat(item)]
    return [states] if hasattr(states, "assign") else []
