"""A forward pass in which the inputs of chosen layers are seen."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_prune_kit._keras.models import backend_of, world
from keras_prune_kit._keras.operations import ops_of, tree_of

Seen = Callable[[Any, "np.ndarray | None"], None]


def watched_pass(model: Any, x: Any, layers: Iterable[Any], seen: Seen) -> Any:
    """Call a model for inference, eagerly, and return its outputs as arrays.

    Args:
        model: A built model.
        x: Its inputs.
        layers: The layers to watch, at any depth.
        seen: Called with the layer and its input as an array just before it computes,
            so that it may change the layer's weights; with `None` for an input without
            values, in a loop that is compiled.
    """
    ops, tree = ops_of(world(model)), tree_of(world(model))
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_watching(layer, seen, ops))
        if backend_of(model) == "torch":
            # Otherwise all activations are kept for gradients.
            stack.enter_context(sys.modules["torch"].no_grad())
        outputs = model(x, training=False)
    return tree.map_structure(ops.convert_to_numpy, outputs)


@contextlib.contextmanager
def _watching(layer: Any, seen: Seen, ops: Any) -> Iterator[None]:
    original = layer.call

    # Keras 2 looks up in the signature which arguments to pass.
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        seen(layer, _values(args[0] if args else next(iter(kwargs.values())), ops))
        return original(*args, **kwargs)

    # Not by assignment, which Keras and torch observe.
    vars(layer)["call"] = call
    try:
        yield
    finally:
        del vars(layer)["call"]


def _values(tensor: Any, ops: Any) -> np.ndarray | None:
    try:
        return np.asarray(ops.convert_to_numpy(tensor))
    # Each backend raises its own for a tensor that has no values yet.
    except Exception:
        return None
