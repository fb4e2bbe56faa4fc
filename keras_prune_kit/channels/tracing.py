"""Tracing: a walk along the calls of a model that follows each channel.

Each tensor carries the ids of the channels along its last axis. A layer that makes
channels gives new ids, one that treats each channel alone passes them on, one that adds
tensors ties them, and one that is not understood keeps them all. The rules for each
kind of layer are in `keras_prune_kit.channels.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
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

# The new value of an entry of a layer's configuration: the number of channels that
# stay of an array, or a function of such numbers.
Count = Callable[[np.ndarray], int]
Resize = np.ndarray | Callable[[Count], Any]


@dataclass(eq=False)
class Trace:
    """All that is known of the channels of a model.

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
        inputs: Its input tensors.
    """

    trace: Trace
    call: _keras.Call
    path: str
    inputs: tuple[Flow, ...]

    def inside(self, name: str) -> Site:
        """Return the site of a layer inside this one."""
        return Site(self.trace, self.call, f"{self.path}/{name}", self.inputs)

    def flow(self, ids: Axis, output: int = 0) -> Flow:
        """Return an output of the call with channels along its last axis."""
        return Flow(ids, shape_of(self.call.outputs[output]))

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
        self.trace.resized[id(self.call.operation)] = entries

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
    ) -> list[Flow]:
        """Record the outputs of the call, and how to compute constants in them."""
        self.trace.steps.append(Step(self.inputs, tuple(outputs), constants))
        return list(outputs)

    def opaque(self, reason: str) -> list[Flow]:
        """Keep all channels that go in; those that come out must stay, too."""
        for flow in self.inputs:
            self.keep(flow.ids, reason)
        if any(True for _ in getattr(self.call.operation, "weights", ())):
            self.trace.unknown.append(self.path)
        outputs = []
        for tensor in self.call.outputs:
            outputs.append(fixed_flow(self.trace, tensor, reason))
        return self.step(outputs)


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
    outputs = _walk(found, model, inputs, "")
    given = [flow.ids for flow in outputs if flow.ids is not None]
    # First, as the reason that a user understands best.
    found.kept[:0] = [(ids, "an output of the model") for ids in given]
    return found


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


def _walk(found: Trace, model: Any, inputs: list[Flow], path: str) -> list[Flow]:
    """Trace the calls of a model and return the flows of its outputs."""
    graph = _keras.graph_of(model)
    flows = {
        id(tensor): flow for tensor, flow in zip(graph.inputs, inputs, strict=True)
    }
    for call in graph.calls:
        before = tuple(flows[id(tensor)] for tensor in call.inputs)
        operation = call.operation
        name = f"{path}{operation.name}"
        if _keras.has_graph(operation):
            after = _nested(found, operation, list(before), f"{name}/")
        else:
            site = Site(found, call, name, before)
            after = rule_for(call)(site)
        flows |= {id(t): flow for t, flow in zip(call.outputs, after, strict=True)}
    return [flows[id(tensor)] for tensor in graph.outputs]


def _nested(found: Trace, model: Any, inputs: list[Flow], path: str) -> list[Flow]:
    """Trace a call of a model inside the model; all of its calls have equal inputs."""
    known = found.nested_inputs.setdefault(id(model), inputs)
    for first, now in zip(known, inputs, strict=True):
        if first.ids is not None and now.ids is not None and first is not now:
            found.ties.tie(first.ids, now.ids)
    return _walk(found, model, inputs, path)
