"""The graph of a functional Keras 3 model, which Keras keeps in private attributes."""

from __future__ import annotations

from typing import Any


def functional_of(model: Any) -> Any:
    """Return the functional model that a built Sequential model runs, or the model."""
    return getattr(model, "_functional", model)


def nodes_of(model: Any) -> list[Any]:
    """List the calls of a functional model in the order in which Keras clones them.

    Args:
        model: A built Sequential or functional model of Keras 3.

    Returns:
        Keras' nodes, each with `operation`, `arguments`, `input_tensors` and `outputs`;
        inputs of the model are not among them.
    """
    by_depth = functional_of(model)._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation and not node.is_input
    ]


def calls_of(layer: Any) -> list[Any]:
    """List the nodes in which a layer was called, in any model."""
    return layer._inbound_nodes


def producer_of(tensor: Any) -> Any:
    """Return the layer or operation that a symbolic tensor is an output of."""
    return tensor._keras_history.operation
