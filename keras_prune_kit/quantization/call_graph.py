"""The graph of a functional model: which call feeds which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_prune_kit import _keras


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer, or of an operation such as `x + y`, in a model.

    Attributes:
        operation: The layer or operation.
        inputs: The tensors that it takes.
        outputs: The tensors that it gives.
        constants: What else it takes, such as the 2 in `x * 2`.
    """

    operation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    constants: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """All calls of a model, each after those that feed it.

    Attributes:
        calls: In the order in which Keras clones them.
        inputs: The tensors that the model takes.
        output_ids: Ids of the tensors that it gives.
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
        """The calls that take a tensor."""
        return self._consumers.get(id(tensor), [])

    def is_output(self, tensor: Any) -> bool:
        """Whether the model gives a tensor away."""
        return id(tensor) in self.output_ids

    def only_consumer(self, call: Call) -> Call | None:
        """The call that alone takes all that another one gives, if there is one."""
        if len(call.outputs) != 1 or self.is_output(call.outputs[0]):
            return None
        consumers = self.consumers(call.outputs[0])
        return consumers[0] if len(consumers) == 1 else None

    def producer(self, tensor: Any) -> Call | None:
        """The call that gives a tensor; `None` for an input of the model."""
        return self._producers.get(id(tensor))


def graph_of(model: Any) -> Graph:
    """The graph of a built Sequential or functional model."""
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
    """A model of the same kind and inputs from other layers.

    Args:
        model: A built Sequential or functional model.
        copy: Gives the layer or operation that takes the place of one.
        call: Computes one call: what the old model did, the new layer, and its
            arguments; it may add layers or leave this one out.
    """
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
    if isinstance(model, keras.Sequential):
        return keras.Sequential(clone.layers, name=model.name)
    return clone


def nested_models(model: Any) -> Iterator[Any]:
    """A model and all Sequential and functional models in it, each once."""
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
