"""Where a float file masks: constants that push scores towards minus infinity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    SHAPING,
    Operator,
    indices,
    kind,
    producers,
)

# What takes scores and makes nothing of those that are masked, and the least magnitude
# of a constant that is taken for a mask there. Behind an exponential -30 is nothing.
# What gives scores on may well mean a number such as -9999, and a file itself even
# more so.
EXPONENTIALS = (Operator.SOFTMAX, Operator.LOG_SOFTMAX, Operator.EXP, Operator.LOGISTIC)
_LEAST: dict[int | None, float] = {
    **dict.fromkeys(EXPONENTIALS, 30.0),
    **dict.fromkeys((Operator.REDUCE_MAX, Operator.ARG_MAX, Operator.TOPK_V2), 1e4),
    None: 1e6,
}
_LOWEST = -1e38
BOUNDED = b"bounded_mask"  # How constants are called that mask less already.

_Path = tuple[tuple[int, float], ...]

# What gives what it takes, and how many of its inputs that is.
_PASSING = {
    **dict.fromkeys(SHAPING, 1),
    **dict.fromkeys((Operator.MINIMUM, Operator.MAXIMUM), 2),
}
# What puts constants in the place of scores, and which of its inputs these can be;
# `None` for any.
_CHOOSING = {
    Operator.SELECT: (1, 2),
    Operator.SELECT_V2: (1, 2),
    Operator.PADV2: (0, 2),
    Operator.CONCATENATION: None,
    Operator.PACK: None,
}
_ADDING = {Operator.ADD: 1.0, Operator.SUB: -1.0}


@dataclass(frozen=True, eq=False)
class Site:
    """A constant that masks.

    Attributes:
        operator: The number of the operator that takes it.
        place: Which of its inputs it is.
        values: Its values.
        path: Tensors from there to where masks end, each with what it is multiplied by.
        is_added: Whether it is added to scores, or takes the place of them.
        is_certain: Whether it masks where something says so, and not everywhere.
        mask: The index of what says so, where that is multiplied.
    """

    operator: int
    place: int
    values: np.ndarray
    path: tuple[tuple[int, float], ...]
    is_added: bool
    is_certain: bool = True
    mask: int | None = None

    @property
    def factor(self) -> float:
        """What it is multiplied by from there to where masks end."""
        return self.path[-1][1]

    @property
    def key(self) -> tuple[int, int]:
        """Where it is."""
        return self.operator, self.place

    @property
    def size(self) -> float:
        """How far it pushes scores."""
        return float(np.abs(self.values).max()) * abs(self.factor)


@dataclass(frozen=True, eq=False)
class Masked:
    """Masked scores, where they go into what makes nothing of the masked ones.

    Attributes:
        tensor: The index of the scores.
        operator: The number of what takes them; `None` if the file gives them away.
        kind: Which operator that is.
        sites: The constants that mask them, all of about one size.
    """

    tensor: int
    operator: int | None
    kind: int | None
    sites: tuple[Site, ...]

    @property
    def limit(self) -> float:
        """What is below stands for minus infinity."""
        return max(-min(site.size for site in self.sites) / 2, _LOWEST)

    @property
    def keys(self) -> set[tuple[int, int]]:
        """Where its constants are."""
        return {site.key for site in self.sites}

    def certain(self) -> Masked:
        """The same without constants that are added everywhere."""
        return replace(self, sites=tuple(s for s in self.sites if s.is_certain))

    @property
    def largest(self) -> float:
        """The constant that pushes farthest."""
        values = max(self.sites, key=lambda site: site.size).values
        return float(values.flat[np.abs(values).argmax()])


def find_masked(model: Any, is_mask: Callable[[int], bool]) -> Iterator[Masked]:
    """The masked scores of the first graph of an unpacked float file.

    Args:
        model: The file.
        is_mask: Whether a tensor, by its index, holds ones and zeros alone.
    """
    graph = model.subgraphs[0]
    places: list[tuple[int, int | None, int | None]] = [
        (index, number, kind(model, operator))
        for number, operator in enumerate(graph.operators)
        for index in indices(operator.inputs)[:1]
    ]
    places += [(int(index), None, None) for index in graph.outputs]
    for tensor, number, code in places:
        if code in _LEAST:
            sites = _Finder(model, _LEAST[code], is_mask).sites(tensor)
            if sites:
                yield Masked(tensor, number, code, sites)


def operands(model: Any, tensors: Collection[int]) -> set[int]:
    """What is computed and some tensors are made of, in float32, by index."""
    graph = model.subgraphs[0]
    makers = producers(graph)
    return {
        index
        for tensor in tensors
        if tensor in makers
        for index in indices(makers[tensor].inputs)
        if index >= 0 and graph.tensors[index].type == schema.TensorType.FLOAT32
        if model.buffers[graph.tensors[index].buffer].data is None
    }


class _Finder:
    """Follows scores back to the constants that mask them."""

    def __init__(
        self, model: Any, least: float, is_mask: Callable[[int], bool]
    ) -> None:
        self._model = model
        self._least = least
        self._is_mask = is_mask
        self._graph = model.subgraphs[0]
        self._makers = {
            index: number
            for number, operator in enumerate(self._graph.operators)
            for index in indices(operator.outputs)
        }

    def sites(self, tensor: int) -> tuple[Site, ...]:
        """The largest constants that push a tensor, if they are large."""
        found = {
            site.key: site
            for site in self._trace_back(tensor, ((tensor, 1.0),))
            if site.size >= self._least
        }
        largest = max((site.size for site in found.values()), default=0.0)
        return tuple(site for site in found.values() if site.size >= largest / 100)

    def _trace_back(self, tensor: int, path: _Path) -> Iterator[Site]:
        number = self._makers.get(tensor)
        if number is None:
            return
        operator = self._graph.operators[number]
        code, inputs = kind(self._model, operator), indices(operator.inputs)
        if code in _PASSING:
            for index in inputs[: _PASSING[code]]:
                yield from self._go_on(index, path)
        elif code in _CHOOSING:
            for place in _CHOOSING[code] or range(len(inputs)):
                yield from self._taken(number, inputs, place, path)
        elif code in _ADDING:
            yield from self._added(number, inputs, 0, path, 1.0)
            yield from self._added(number, inputs, 1, path, _ADDING[code])
        elif code == Operator.MUL:
            yield from self._multiplied(number, inputs, 0, path)
            yield from self._multiplied(number, inputs, 1, path)
        elif code == Operator.DIV:
            scale = self._values(inputs[1])
            if scale is not None and scale.size == 1 and scale.item():
                yield from self._go_on(inputs[0], path, 1 / scale.item())

    def _go_on(self, index: int, path: _Path, scale: float = 1.0) -> Iterator[Site]:
        yield from self._trace_back(index, (*path, (index, scale * path[-1][1])))

    def _taken(
        self, number: int, inputs: list[int], place: int, path: _Path
    ) -> Iterator[Site]:
        values = self._values(inputs[place])
        if values is None:
            yield from self._go_on(inputs[place], path)
        elif values.size:
            yield Site(number, place, values, path, is_added=False)

    def _added(
        self, number: int, inputs: list[int], place: int, path: _Path, sign: float
    ) -> Iterator[Site]:
        values = self._values(inputs[place])
        if values is None:
            yield from self._go_on(inputs[place], path, sign)
        elif values.size:
            path = (*path[:-1], (path[-1][0], sign * path[-1][1]))
            yield Site(number, place, values, path, is_added=True, is_certain=False)

    def _multiplied(
        self, number: int, inputs: list[int], place: int, path: _Path
    ) -> Iterator[Site]:
        """A constant times a mask of ones and zeros, or scores times a constant."""
        values, other = self._values(inputs[place]), inputs[1 - place]
        if values is None or not values.size:
            return
        site = Site(number, place, values, path, is_added=True, mask=other)
        if site.size >= self._least and self._is_mask(other):
            yield site
        elif values.size == 1 and values.item():
            yield from self._go_on(other, path, values.item())

    def _values(self, index: int) -> np.ndarray | None:
        """The values of a constant of float32; `None` for anything else."""
        if index < 0:
            return None
        tensor = self._graph.tensors[index]
        if (tensor.name or b"").startswith(BOUNDED):
            return None
        data = self._model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
            return None
        return np.asarray(data, np.uint8).view("<f4").reshape(indices(tensor.shape))
