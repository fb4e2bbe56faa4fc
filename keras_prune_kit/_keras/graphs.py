"""The call graph of a functional model, which Keras keeps private."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit._keras.copying import is_graph
from keras_prune_kit._keras.models import is_tf_keras
from keras_prune_kit._keras.operations import tree_of


class _Position(int):
    """The position of an input, in its place among the arguments."""


# Compared by identity: constants may be arrays, whose `==` is no bool.
@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, or of an operation such as `x + y`, in a model.

    Attributes:
        operation: The layer or operation.
        inputs: The input tensors.
        outputs: The output tensors.
        constants: The other arguments, such as the 2 in `x * 2`.
    """

    operation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    constants: tuple[Any, ...] = ()
    _arguments: tuple[Any, Any] = ((), {})
    _tree: Any = None

    @property
    def is_training(self) -> bool:
        """True if the call says `training=True`, whatever the model is called with."""
        return bool(self._arguments[1].get("training"))

    @property
    def is_masked(self) -> bool:
        """True if the operation gets a mask; Keras 2 attaches it to a tensor."""
        attached = [getattr(tensor, "_keras_mask", None) for tensor in self.inputs]
        takes_it = getattr(self.operation, "_expects_mask_arg", False)
        has_it = takes_it and any(mask is not None for mask in attached)
        return bool(self.masks) or has_it

    @property
    def masks(self) -> frozenset[int]:
        """The positions of inputs that are masks, which Keras 3 passes by itself."""
        _, given = self.arguments(map(_Position, range(len(self.inputs))))
        masks = [value for key, value in given.items() if key.endswith("mask")]
        found = self._tree.flatten(masks)
        return frozenset(item for item in found if isinstance(item, _Position))

    def arguments(self, replacements: Iterable[Any]) -> tuple[tuple, dict[str, Any]]:
        """Return the arguments of the call with other values in place of its inputs.

        Args:
            replacements: One value per tensor in `inputs`.
        """
        values = iter(replacements)
        # Keras lists a call's inputs in the order in which its tree is flattened.
        return self._tree.map_structure(
            lambda item: next(values) if _is_symbolic(item) else item, self._arguments
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """All calls of a model in topological order.

    Attributes:
        calls: In the order in which Keras clones them.
        inputs: The input tensors of the model.
        outputs: The output tensors of the model.
    """

    calls: tuple[Call, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    _consumers: dict[int, list[Call]] = field(default_factory=dict, repr=False)
    _producers: dict[int, Call] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        consumers = defaultdict(list)
        for call in self.calls:
            for tensor in call.inputs:
                consumers[id(tensor)].append(call)
        self._consumers.update(consumers)
        producers = {id(tensor): call for call in self.calls for tensor in call.outputs}
        self._producers.update(producers)

    def consumers(self, tensor: Any) -> list[Call]:
        """Return the calls that have a tensor as input."""
        return self._consumers.get(id(tensor), [])

    def is_output(self, tensor: Any) -> bool:
        """Return True if a tensor is an output of the model."""
        return any(tensor is output for output in self.outputs)

    def only_consumer(self, call: Call) -> Call | None:
        """Return the one consumer of a call's single output, or `None`."""
        if len(call.outputs) != 1 or self.is_output(call.outputs[0]):
            return None
        consumers = self.consumers(call.outputs[0])
        return consumers[0] if len(consumers) == 1 else None

    def producer(self, tensor: Any) -> Call | None:
        """Return the call that outputs a tensor; `None` for an input of the model."""
        return self._producers.get(id(tensor))


def graph_of(model: Any) -> Graph:
    """Return the call graph of a built Sequential or functional model.

    Args:
        model: A model of either world for which `has_graph` is True.
    """
    functional = functional_of(model)
    call_of = _call_of_keras_2 if is_tf_keras(model) else _call
    by_depth = functional._nodes_by_depth
    nodes = [
        node
        # Keras counts the depth from the outputs.
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
    ]
    return Graph(
        tuple(call_of(node) for node in nodes if not node.is_input),
        tuple(functional.inputs),
        tuple(functional.outputs),
    )


def has_graph(model: Any) -> bool:
    """Return True for a Sequential or functional model whose calls are known."""
    return is_graph(model) and hasattr(functional_of(model), "_nodes_by_depth")


def nested_models(model: Any) -> Iterator[Any]:
    """Yield a model and all Sequential and functional models in it, each once."""
    seen: set[int] = set()

    def walk(part: Any) -> Iterator[Any]:
        if is_graph(part) and id(part) not in seen:
            seen.add(id(part))
            yield part
            for call in graph_of(part).calls:
                yield from walk(call.operation)

    return walk(model)


def functional_of(model: Any) -> Any:
    """Return the functional model inside a built Sequential, or the model itself."""
    return getattr(model, "_functional", None) or model


def calls_of(layer: Any) -> list[Any]:
    """Return the nodes for all calls of a layer, in any model."""
    return layer._inbound_nodes


def producer_of(tensor: Any) -> Any:
    """Return the layer or operation that produces a symbolic tensor of Keras 3."""
    return tensor._keras_history.operation


def _call(node: Any) -> Call:
    arguments, tree = (
        (node.arguments.args, node.arguments.kwargs),
        tree_of(sys.modules["keras"]),
    )
    inputs, outputs = tuple(node.input_tensors), tuple(node.outputs)
    constants = _constants(arguments, tree)
    return Call(node.operation, inputs, outputs, constants, arguments, tree)


def _call_of_keras_2(node: Any) -> Call:
    arguments, tree = (
        (node.call_args, node.call_kwargs),
        tree_of(sys.modules["tf_keras"]),
    )
    inputs, outputs = tuple(node.keras_inputs), tuple(tree.flatten(node.outputs))
    constants = _constants(arguments, tree)
    return Call(node.layer, inputs, outputs, constants, arguments, tree)


def _constants(arguments: Any, tree: Any) -> tuple[Any, ...]:
    return tuple(item for item in tree.flatten(arguments) if not _is_symbolic(item))


def _is_symbolic(item: Any) -> bool:
    """Return True for a tensor of the graph, in either world."""
    return type(item).__name__.endswith("KerasTensor")
