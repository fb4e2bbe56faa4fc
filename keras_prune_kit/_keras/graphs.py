"""Access to the graph of a functional Keras 3 model, which Keras keeps private."""

from __future__ import annotations

from typing import Any


def functional_of(model: Any) -> Any:
    """Return the functional model inside a built Sequential, or the model itself."""
    return getattr(model, "_functional", model)


def nodes_of(model: Any) -> list[Any]:
    """Return the calls in a functional model in the order in which Keras clones them.

    Args:
        model: A built Sequential or functional model of Keras 3.

    Returns:
        Keras' nodes, each with `operation`, `arguments`, `input_tensors` and `outputs`,
        without the inputs of the model.
    """
    by_depth = functional_of(model)._nodes_by_depth
    return [
        node
        # Keras counts the depth from the outputs.
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation and not node.is_input
    ]


def calls_of(layer: Any) -> list[Any]:
    """Return the nodes for all calls of a layer, in any model."""
    return layer._inbound_nodes


def producer_of(tensor: Any) -> Any:
    """Return the layer or operation that produces a symbolic tensor."""
    return tensor._keras_history.operation
