"""The call graph of a functional model: calls, their producers and consumers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_prune_kit import _keras


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


@dataclass(frozen=True, eq=False)
class Graph:
    """All calls of a model in topological order.

    Attributes:
        calls: In the order in which Keras clones them.
        inputs: The input tensors of the model.
        output_ids: Ids of the output tensors of the model.
    """

    calls: tuple[Call, ...]
    inputs: tuple[Any, ...]
    output_ids: frozenset[int]
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
        return id(tensor) in self.output_ids

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
    """Return the call graph of a built Sequential or functional model."""
    functional = _keras.functional_of(model)
    return Graph(
        tuple(
            Call(
                node.operation,
                tuple(node.input_tensors),
                tuple(node.outputs),
                tuple(_constants(node)),
            )
            for node in _keras.nodes_of(model)
        ),
        tuple(functional.inputs),
        frozenset(map(id, functional.outputs)),
    )


def rebuild(
    model: Any,
    copy: Callable[[Any], Any],
    call: Callable[[Call, Any, tuple[Any, ...], dict[str, Any]], Any],
) -> Any:
    """Rebuild a model with the same inputs from other layers.

    Args:
        model: A built Sequential or functional model.
        copy: Maps each layer or operation to its replacement.
        call: Computes the outputs of one call from the old call, the new layer and
            its arguments; it may add layers or leave this one out.

    Returns:
        A model of the same kind, Sequential or functional; not compiled.
    """
    # Keras' call_function receives no node; clone_model runs calls in graph order.
    calls = iter(graph_of(model).calls)

    def call_next(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return call(next(calls), layer, args, kwargs)

    functional = _keras.functional_of(model)
    with _keras.uncompiled(model):
        clone = keras.models.clone_model(
            functional,
            _keras.inputs_like(functional),
            clone_function=copy,
            call_function=call_next,
        )
    # A Sequential is cloned by way of the functional model inside it.
    if isinstance(model, keras.Sequential):
        return keras.Sequential(clone.layers, name=model.name)
    return clone


def nested_models(model: Any) -> Iterator[Any]:
    """Yield a model and all Sequential and functional models in it, each once."""
    seen: set[int] = set()

    def walk(part: Any) -> Iterator[Any]:
        if _keras.is_graph(part) and id(part) not in seen:
            seen.add(id(part))
            yield part
            for call in graph_of(part).calls:
                yield from walk(call.operation)

    return walk(model)


def _constants(node: Any) -> Iterator[Any]:
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    return (item for item in arguments if not isinstance(item, keras.KerasTensor))
