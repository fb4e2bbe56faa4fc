"""One call of a layer, as its rule sees it: what a rule may say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from keras_prune_kit.channels.traces import Resize, Trace


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
            for a, b in zip(arrays_in(known.get(key)), arrays_in(new), strict=False):
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


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """Yield the arrays in an entry of a configuration."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from arrays_in(inner)
