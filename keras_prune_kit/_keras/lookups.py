"""Layers with lookup tables or hashes, which are not weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.weights import walk

_LOOKUPS = ("TextVectorization", "StringLookup", "IntegerLookup", "Hashing")
# Hashing and HashedCrossing convert even numbers to strings before hashing them.
_LOOKUPS += ("HashedCrossing",)


def lookup_layers(model: Any) -> dict[str, Any]:
    """Return the layers with lookup tables or hashes by path, nested models included.

    Args:
        model: A Keras model.
    """
    kinds = tuple(getattr(world(model).layers, name) for name in _LOOKUPS)
    found: dict[str, Any] = {}
    for path, above in walk(model):
        # A TextVectorization has a StringLookup inside.
        is_first = not any(isinstance(layer, kinds) for layer in above[:-1])
        if is_first and isinstance(above[-1], kinds):
            found.setdefault(path, above[-1])
    return found


def gives_texts(layer: Any) -> bool:
    """Return True if a lookup layer maps integers to strings."""
    return bool(getattr(layer, "invert", False))


def inputs_behind(model: Any, layers: Sequence[Any]) -> str | None:
    """Return Python code for the inputs of a model cut after some of its layers.

    Args:
        model: A model.
        layers: Layers of the model whose outputs become inputs.

    Returns:
        Code such as `model.get_layer('lookup').output`. `None` if the model cannot be
        cut there: the rest needs strings, or it is not a graph of these layers.
    """
    places = {id(tensor): place for tensor, place in _places(model, layers)}
    try:
        ends = list(_ends(list(model.outputs or ()), set(places)))
    except AttributeError:  # A subclassed model has neither outputs nor a history.
        return None
    if not ends or any(id(e) not in places or _is_text(e) for e in ends):
        return None
    found = list(dict.fromkeys(places[id(tensor)] for tensor in ends))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"


def _places(model: Any, layers: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Yield the tensors at which a model can be cut, with the code for each."""
    for number, tensor in enumerate(getattr(model, "inputs", None) or ()):
        yield tensor, f"model.inputs[{number}]"
    for layer in layers:
        if any(layer is other for other in model.layers):
            output = getattr(layer, "output", None)
            if hasattr(output, "shape"):
                yield output, f"model.get_layer({layer.name!r}).output"


def _ends(tensors: list[Any], stops: set[int]) -> Iterator[Any]:
    """Yield the tensors reached by going back to the first stop on each path."""
    seen: set[int] = set()
    while tensors:
        tensor = tensors.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        before = [] if id(tensor) in stops else _before(tensor)
        if not before:
            yield tensor
        tensors += before


def _before(tensor: Any) -> list[Any]:
    """Return the inputs of the operation that produces a tensor."""
    operation, node_index, _ = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    found = node.input_tensors
    # Keras 2 keeps the argument of the call as it was: one tensor or a list.
    return found if isinstance(found, list) else [found]


def _is_text(tensor: Any) -> bool:
    # A dtype is a string in Keras 3 and an object in Keras 2.
    return getattr(tensor.dtype, "name", tensor.dtype) == "string"
