"""The records of a trace: the channels of tensors, weights and products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The channels along one axis of a tensor or weight; `None` if it has none.
Axis = np.ndarray | None
# The value of each channel of a tensor; NaN where it is not constant.
Values = np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """One tensor of one call.

    Attributes:
        ids: The channels along its last axis; `None` for a tensor without one.
        shape: Its shape without the batch; `None` for sizes that are not fixed.
    """

    ids: Axis
    shape: tuple[int | None, ...]

    @property
    def positions(self) -> int:
        """The number of places in a sample; sizes that are not fixed count as 1."""
        return product(size or 1 for size in self.shape[:-1])


@dataclass(eq=False)
class Cut:
    """A weight and the channels along each of its axes.

    Attributes:
        variable: The Keras variable.
        axes: For each axis its channels, or `None`.
        makes: The axis on which zeros make the channel itself zero, as on the last axis
            of a Dense kernel and in its bias; `None` if there is none.
        scaled_by: Channels whose number divides the weight by its root: attention
            divides by the root of the size of a head.
    """

    variable: Any = field(repr=False)
    axes: tuple[Axis, ...]
    makes: int | None = None
    scaled_by: Axis = None


@dataclass(frozen=True, eq=False)
class Product:
    """Multiplications with equal factors: the size of a kernel, once per position."""

    positions: int
    sizes: tuple[np.ndarray | int, ...]


@dataclass(frozen=True, eq=False)
class Slice:
    """The part of a weight that belongs to one channel: an index on one axis.

    Attributes:
        variable: The weight.
        axis: The axis.
        to: The axis of the channels that are computed from it: only those that stay
            count. `None` to count all of the weight.
        index: The index of each channel on the axis; `None` if they are in order.
    """

    variable: Any
    axis: int
    to: int | None = None
    index: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Reader:
    """A place where a layer mixes its input channels into other ones.

    A channel contributes nothing if its value is zero, or if all slices of one of the
    alternatives are.

    Attributes:
        ids: The channels.
        alternatives: Weights, each list of which silences a channel if it is zero.
        sources: The tensors that are read: a zero in any of them silences a channel.
            None inside a layer.
        fold: Adds the contribution of constant channels, an array of values with 0
            elsewhere, to the bias; `None` where that is not exact.
    """

    ids: np.ndarray
    alternatives: tuple[tuple[Slice, ...], ...]
    sources: tuple[Flow, ...] = ()
    fold: Callable[[np.ndarray], Fold] | None = None


@dataclass(frozen=True, eq=False)
class Fold:
    """A contribution that moves into the bias of a layer, for each of its channels."""

    layer: Any
    ids: np.ndarray
    addition: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """One call: its tensors, and the values of constant channels in its outputs."""

    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    constants: Callable[[Sequence[Values]], Sequence[Values]] | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """New channels and the layer that makes them.

    Attributes:
        ids: The channels.
        path: The path of the layer.
        kind: The field's word for them: channels, units, heads, head size.
    """

    ids: np.ndarray
    path: str
    kind: str


def product(sizes: Any) -> int:
    """Return the product of sizes; 1 for none."""
    result = 1
    for size in sizes:
        result *= int(size)
    return result


def name_of(variable: Any) -> str:
    """Return the name of a weight within its layer; Keras 2 calls it `bn/gamma:0`."""
    return variable.name.partition(":")[0].rpartition("/")[2]


def unknown(flow: Flow) -> Values:
    """Return values for a tensor of which no channel is known to be constant."""
    return np.full(0 if flow.ids is None else len(flow.ids), np.nan)
