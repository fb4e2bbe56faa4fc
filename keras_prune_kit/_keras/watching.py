"""A forward pass in which the inputs of chosen layers are seen."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_prune_kit._keras.copying.parts import parts_of
from keras_prune_kit._keras.models import backend_of, world
from keras_prune_kit._keras.operations import ops_of, tree_of
from keras_prune_kit._keras.recurrent_states import at_rest

Seen = Callable[[Any, "list[np.ndarray | None]"], bool]

# Attributes by which recurrent layers compute all steps at once, without their cells:
# of Keras 3, and of Keras 2.
_FUSED = ("use_cudnn", "_could_use_gpu_kernel")


class _Stopped(BaseException):
    """Ends a pass. Keras adds text of its own to each `Exception`, not to this."""


def watched_pass(model: Any, x: Any, layers: Iterable[Any], seen: Seen) -> Any:
    """Call a model for inference, eagerly, and return its outputs as arrays.

    The states of stateful layers are those of a start, and stay as they were.

    Args:
        model: A built model.
        x: Its inputs.
        layers: The layers to watch, at any depth; cells of recurrent layers, too. One
            that is named twice is watched once.
        seen: Called with the layer and its inputs as arrays just before it computes, so
            that it may change the layer's weights; a cell's states follow its input.
            An input without values, in a loop that is compiled, is `None`. True ends
            the pass. Its errors come out of the pass as they are.

    Returns:
        The outputs, or `None` if the pass was ended.
    """
    ops, tree = ops_of(world(model)), tree_of(world(model))
    watched, errors = list({id(layer): layer for layer in layers}.values()), []

    def values(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        first = args or tuple(kwargs.values())[:1]
        return [_values(item, ops) for item in tree.flatten(first)]

    def note(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            is_over = seen(layer, values(args, kwargs))
        except Exception as error:
            errors.append(error)
            is_over = True
        if is_over:
            raise _Stopped

    with contextlib.ExitStack() as stack:
        stack.enter_context(at_rest(model))
        stack.enter_context(_step_by_step(model, watched))
        for layer in watched:
            stack.enter_context(_watching(layer, note))
        if backend_of(model) == "torch":
            # Otherwise all activations are kept for gradients.
            stack.enter_context(sys.modules["torch"].no_grad())
        stack.enter_context(contextlib.suppress(_Stopped))
        return tree.map_structure(ops.convert_to_numpy, model(x, training=False))
    if errors:
        raise errors[0]
    return None


@contextlib.contextmanager
def _watching(layer: Any, note: Callable[[Any, Any, Any], None]) -> Iterator[None]:
    original = layer.call

    # Keras 2 looks up in the signature which arguments to pass.
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        note(layer, args, kwargs)
        return original(*args, **kwargs)

    # Not by assignment, which Keras and torch observe.
    with _set(layer, "call", call):
        yield


@contextlib.contextmanager
def _step_by_step(model: Any, watched: list[Any]) -> Iterator[None]:
    """Have the cells among the watched layers called eagerly, once a step."""
    ids = {id(layer) for layer in watched}
    owners = [p for p in parts_of(model) if id(getattr(p, "cell", None)) in ids]
    with contextlib.ExitStack() as stack:
        for owner in owners:
            for name in vars(owner).keys() & set(_FUSED):
                stack.enter_context(_set(owner, name, False))
        if owners and backend_of(model) == "jax":
            # Otherwise the loop over the steps is compiled.
            stack.enter_context(sys.modules["jax"].disable_jit())
        yield


@contextlib.contextmanager
def _set(layer: Any, name: str, value: Any) -> Iterator[None]:
    own = vars(layer)
    before = {name: own[name]} if name in own else {}
    own[name] = value
    try:
        yield
    finally:
        del own[name]
        own.update(before)


def _values(tensor: Any, ops: Any) -> np.ndarray | None:
    try:
        return np.asarray(ops.convert_to_numpy(tensor))
    # Each backend raises its own for a tensor that has no values yet.
    except Exception:
        return None
