"""Tracing: a walk along the calls of a model that follows each channel.

Each tensor carries the ids of the channels along its last axis. A layer that makes
channels gives new ids, one that treats each channel alone passes them on, one that adds
tensors ties them, and one that is not understood keeps them all. The rules for each
kind of layer are in `keras_prune_kit.channels.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import (
    Axis,
    Cut,
    Flow,
    Made,
    Product,
    Reader,
    Step,
    Values,
)
from keras_prune_kit.channels.rules import rule_for
from keras_prune_kit.channels.ties import Ties

# The new value of an entry of a layer's configuration. An array, also one in a dict or
# tuple, stands for the number of its channels that stay; a function takes such numbers.
Count = Callable[[np.ndarray], int]
Resize = np.ndarray | Mapping[str, Any] | tuple[Any, ...] | Callable[[Count], Any]


@dataclass(eq=False)
class Trace:
    """What is known of the channels of a model.

    Attributes:
        model: The model.
        ties: The channels that stand and fall together.
        made: All channels, with the layers that make them.
        cuts: The weights with channels along their axes, by the id of the variable.
        resized: Entries of configurations that follow the channels, by the id of the
            layer.
        products: The multiplications of one forward pass of one sample.
        readers: The places where channels are mixed.
        steps: All calls in their order.
        kept: Channels that must stay, with reasons.
        coupled: Channels whose removal changes the others, even if they are zero, with
            reasons.
        unknown: Paths of layers whose multiplications are not counted.
        whole: Layers that lose nothing in any of their calls, with reasons.
        nested_inputs: The inputs of models inside the model, by their ids.
    """

    model: Any
    ties: Ties = field(default_factory=Ties)
    made: list[Made] = field(default_factory=list)
    cuts: dict[int, Cut] = field(default_factory=dict)
    resized: dict[int, dict[str, Resize]] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    kept: list[tuple[np.ndarray, str]] = field(default_factory=list)
    coupled: list[tuple[np.ndarray, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    whole: list[tuple[Any, str]] = field(default_factory=list)
    nested_inputs: dict[int, list[Flow]] = field(default_factory=dict)
    _new: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def are_kept(self, flows: Iterable[Flow]) -> bool:
        """Return True if all channels of some tensors must stay."""
        kept = self.reasons(self.kept)
        return all(
            root in kept
            for flow in flows
            if flow.ids is not None
            for root in self.ties.roots(flow.ids).tolist()
        )

    def reasons(self, marked: Sequence[tuple[np.ndarray, str]]) -> dict[int, str]:
        """Return the first reason for each set of tied channels, by its root."""
        found: dict[int, str] = {}
        for ids, reason in marked:
            for root in np.unique(self.ties.roots(ids)).tolist():
                found.setdefault(root, reason)
        return found


@dataclass(frozen=True, eq=False)
class Site:
    """One call of a layer, as its rule sees it: what a rule may say.

    Attributes:
        trace: What is known so far.
        call: The call.
        path: The path of the layer, for messages.
        inputs: Its input tensors, without masks.
        is_training: If True, it runs as in training, even if the model does not.
    """

    trace: Trace
    call: _keras.Call
    path: str
    inputs: tuple[Flow, ...]
    is_training: bool = False

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call with flows for its inputs, `None` for masks."""
        flows, masks = iter(self.inputs), self.call.masks
        return self.call.arguments(
            None if number in masks else next(flows)
            for number in range(len(self.call.inputs))
        )

    def inside(self, name: str) -> Site:
        """Return the site of a layer inside this one."""
        return replace(self, path=f"{self.path}/{name}")

    def flow(self, ids: Axis, output: int = 0) -> Flow:
        """Return an output of the call with channels along its last axis."""
        return Flow(ids, shape_of(self.call.outputs[output]))

    def fixed(self, reason: str, output: int = 0) -> Flow:
        """Return an output of the call whose channels must stay."""
        return fixed_flow(self.trace, self.call.outputs[output], reason)

    def new(self, owner: Any, kind: str, count: int) -> np.ndarray:
        """Return channels that a layer makes, the same ones in all of its calls."""
        key = (id(owner), kind)
        if key not in self.trace._new:
            ids = self.trace._new[key] = self.trace.ties.fresh(count)
            self.trace.made.append(Made(ids, self.path, kind))
        return self.trace._new[key]

    def tie(self, a: np.ndarray, b: np.ndarray) -> None:
        """Tie two arrays of channels, position by position."""
        self.trace.ties.tie(a, b)

    def keep(self, ids: Axis, reason: str) -> None:
        """Keep channels in the model."""
        if ids is not None and ids.size:
            self.trace.kept.append((ids, reason))

    def couple(self, ids: np.ndarray, reason: str) -> None:
        """Mark channels whose removal changes the others, even if they are zero."""
        self.trace.coupled.append((ids, reason))

    def cut(
        self,
        variable: Any,
        *axes: Axis,
        makes: int | None = None,
        scaled_by: Axis = None,
    ) -> None:
        """Say which channels are along each axis of a weight; `None` is ignored."""
        if variable is None:
            return
        known = self.trace.cuts.get(id(variable))
        if known is None:
            self.trace.cuts[id(variable)] = Cut(variable, axes, makes, scaled_by)
            return
        # A shared layer: what one call cuts, all calls must do without.
        for old, new in zip(known.axes, axes, strict=True):
            if old is not None and new is not None:
                self.tie(old, new)

    def resize(self, **entries: Resize) -> None:
        """Say which entries of the layer's configuration follow the channels."""
        known = self.trace.resized.setdefault(id(self.call.operation), {})
        for key, new in entries.items():
            # A shared layer has one configuration for all of its calls.
            for a, b in zip(_arrays(known.get(key)), _arrays(new), strict=False):
                self.tie(a, b)
        known |= entries

    def multiply(self, positions: int, *sizes: np.ndarray | int) -> None:
        """Count the multiplications of a kernel."""
        self.trace.products.append(Product(positions, sizes))

    def read(self, reader: Reader) -> None:
        """Say where channels are mixed into others."""
        self.trace.readers.append(reader)

    def step(
        self,
        outputs: Sequence[Flow],
        constants: Callable[[Sequence[Values]], Sequence[Values]] | None = None,
        inputs: Sequence[Flow] | None = None,
    ) -> list[Flow]:
        """Record how constants in some tensors give constants in others.

        Args:
            outputs: The tensors that are computed.
            constants: Returns their constants; `None` if there are none.
            inputs: The tensors that they are computed of. Defaults to `None`: those of
                the call.
        """
        given = self.inputs if inputs is None else inputs
        self.trace.steps.append(Step(tuple(given), tuple(outputs), constants))
        return list(outputs)

    def opaque(self, reason: str) -> list[Flow]:
        """Keep all channels that go in; those that come out must stay, too."""
        for flow in self.inputs:
            self.keep(flow.ids, reason)
        if len(getattr(self.call.operation, "weights", ())):
            self.trace.unknown.append(self.path)
        self.trace.whole.append((self.call.operation, reason))
        return self.step([self.fixed(reason, i) for i in range(len(self.call.outputs))])


def trace(model: Any) -> Trace:
    """Trace the channels of a model.

    Args:
        model: A built Sequential or functional model of either world.
    """
    found = Trace(model)
    inputs = [
        fixed_flow(found, tensor, "an input of the model")
        for tensor in _keras.graph_of(model).inputs
    ]
    for flow in _walk(found, model, inputs, "", False):
        if flow.ids is not None:
            found.kept.append((flow.ids, "an output of the model"))
    _keep_whole(found)
    return found


def is_followed(model: Any) -> bool:
    """Return True for a model whose calls are those of its graph."""
    # A subclass with a `call` of its own has no known kind.
    return _keras.known_kind(model) is not None and _keras.has_graph(model)


def fixed_flow(found: Trace, tensor: Any, reason: str) -> Flow:
    """Return a tensor whose channels must stay."""
    shape = shape_of(tensor)
    if not shape or not shape[-1]:
        return Flow(None, shape)
    ids = found.ties.fresh(shape[-1])
    found.kept.append((ids, reason))
    return Flow(ids, shape)


def shape_of(tensor: Any) -> tuple[int | None, ...]:
    """Return the static shape of a symbolic tensor, without the batch."""
    return tuple(tensor.shape)[1:]


def _keep_whole(found: Trace) -> None:
    """Keep what other calls of layers that lose nothing would cut from them."""
    for layer, reason in found.whole:
        cuts = [found.cuts.get(id(w)) for w in getattr(layer, "weights", ())]
        axes = [ids for cut in cuts if cut is not None for ids in cut.axes]
        entries = _arrays(found.resized.get(id(layer)))
        found.kept += [(ids, reason) for ids in (*axes, *entries) if ids is not None]


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """Yield the arrays in an entry of a configuration."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _arrays(inner)


def _walk(
    found: Trace, model: Any, inputs: list[Flow], path: str, is_training: bool
) -> list[Flow]:
    """Trace the calls of a model and return the flows of its outputs."""
    graph = _keras.graph_of(model)
    flows = {
        id(tensor): flow for tensor, flow in zip(graph.inputs, inputs, strict=True)
    }
    for call in graph.calls:
        operation, masks = call.operation, call.masks
        name = f"{path}{operation.name}"
        trains = is_training or call.is_training
        given = [flows[id(tensor)] for tensor in call.inputs]
        for flow in (given[number] for number in masks):
            if flow.ids is not None:
                found.kept.append((flow.ids, "a mask"))
        before = [flow for number, flow in enumerate(given) if number not in masks]
        if is_followed(operation):
            after = _nested(found, operation, before, f"{name}/", trains)
        else:
            site = Site(found, call, name, tuple(before), trains)
            after = rule_for(call)(site)
        flows |= {id(t): flow for t, flow in zip(call.outputs, after, strict=True)}
    return [flows[id(tensor)] for tensor in graph.outputs]


def _nested(
    found: Trace, model: Any, inputs: list[Flow], path: str, is_training: bool
) -> list[Flow]:
    """Trace a call of a model inside the model; all of its calls have equal inputs."""
    known = found.nested_inputs.setdefault(id(model), inputs)
    for first, now in zip(known, inputs, strict=True):
        if first.ids is not None and now.ids is not None and first is not now:
            found.ties.tie(first.ids, now.ids)
    return _walk(found, model, inputs, path, is_training)
