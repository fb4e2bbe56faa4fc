"""The search for mask constants, which push scores towards minus infinity."""

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

# Consumers of scores that ignore the masked ones, with the least magnitude at which a
# constant counts as a mask. An exponential makes about 0 of -30. The others pass scores
# on, so -9999 may be a real score; outputs of the file (`None`) even more so.
EXPONENTIALS = (Operator.SOFTMAX, Operator.LOG_SOFTMAX, Operator.EXP, Operator.LOGISTIC)
_LEAST: dict[int | None, float] = {
    **dict.fromkeys(EXPONENTIALS, 30.0),
    **dict.fromkeys((Operator.REDUCE_MAX, Operator.ARG_MAX, Operator.TOPK_V2), 1e4),
    None: 1e6,
}
# With a limit of minus infinity, minus infinity itself would count as a score.
_LOWEST = -1e38
BOUNDED = b"bounded_mask"  # Name prefix of masks that were reduced already.

_Path = tuple[tuple[int, float], ...]

# Operators that pass values on unchanged, and from how many of their inputs.
_PASSING = {
    **dict.fromkeys(SHAPING, 1),
    **dict.fromkeys((Operator.MINIMUM, Operator.MAXIMUM), 2),
}
# Operators that replace scores by a constant, and the inputs that it can be; `None` for
# any input.
_CHOOSING = {
    Operator.SELECT: (1, 2),
    Operator.SELECT_V2: (1, 2),
    Operator.PADV2: (0, 2),
    Operator.CONCATENATION: None,
    Operator.PACK: None,
}
_ADDING = {Operator.ADD: 1.0, Operator.SUB: -1.0}


# Compared by identity: `==` of arrays gives an array, not a bool.
@dataclass(frozen=True, eq=False)
class Site:
    """A mask constant and its way to the scores.

    Attributes:
        operator: The number of the operator that reads it.
        place: Its position among the inputs of that operator.
        values: Its values, float32.
        path: The tensors from the scores back to the operator's output, each with the
            factor by which it is multiplied on its way to the scores.
        is_added: True if it is added to scores, False if it replaces scores.
        is_certain: True if it is applied to some scores only; False if it is added to
            all of them, which need not be a mask.
        mask: The index of the tensor of -1, 0 and 1 that it is multiplied by, if there
            is one.
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
        """The factor by which it is multiplied on its way to the scores."""
        return self.path[-1][1]

    @property
    def key(self) -> tuple[int, int]:
        """The operator that reads it, and its position there."""
        return self.operator, self.place

    @property
    def size(self) -> float:
        """The largest amount by which it changes scores."""
        return float(np.abs(self.values).max()) * abs(self.factor)


@dataclass(frozen=True, eq=False)
class Masked:
    """Masked scores, at the input of an operator that ignores masked ones.

    Attributes:
        tensor: The index of the scores.
        operator: The number of their consumer; `None` for an output of the file.
        kind: The builtin code of the consumer; `None` likewise.
        sites: The constants that mask them, of similar size.
    """

    tensor: int
    operator: int | None
    kind: int | None
    sites: tuple[Site, ...]

    @property
    def limit(self) -> float:
        """The score below which a score counts as masked."""
        # Half the size, as a mask is added to a score of unknown sign.
        return max(-min(site.size for site in self.sites) / 2, _LOWEST)

    @property
    def keys(self) -> set[tuple[int, int]]:
        """The keys of its sites."""
        return {site.key for site in self.sites}

    def certain(self) -> Masked:
        """Return the same scores without constants that are added to all of them."""
        return replace(self, sites=tuple(s for s in self.sites if s.is_certain))

    @property
    def largest(self) -> float:
        """The value of largest magnitude of the site that changes scores most."""
        values = max(self.sites, key=lambda site: site.size).values
        return float(values.flat[np.abs(values).argmax()])


def find_masked(model: Any, is_mask: Callable[[int], bool]) -> Iterator[Masked]:
    """Yield the masked scores in the first subgraph of an unpacked float file.

    Args:
        model: The file.
        is_mask: Returns True if the tensor of an index has only values -1, 0 and 1.
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
    """Return the computed float32 inputs of the operators that produce some tensors."""
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
    """A search from scores back to the constants that mask them.

    Args:
        model: An unpacked float file.
        least: The least size of a site that counts as a mask.
        is_mask: As in `find_masked`.
    """

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
        """Return the sites that mask a tensor, down to 1 % of the largest size."""
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
        """Yield sites of a product: constant and mask, or scores and constant."""
        values, other = self._values(inputs[place]), inputs[1 - place]
        if values is None or not values.size:
            return
        site = Site(number, place, values, path, is_added=True, mask=other)
        if site.size >= self._least and self._is_mask(other):
            yield site
        # Only a nonzero factor can be divided out of a bound again.
        elif values.size == 1 and values.item():
            yield from self._go_on(other, path, values.item())

    def _values(self, index: int) -> np.ndarray | None:
        """Return the values of a float32 constant; `None` for any other tensor."""
        if index < 0:
            return None
        tensor = self._graph.tensors[index]
        if (tensor.name or b"").startswith(BOUNDED):
            return None
        data = self._model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
            return None
        return np.asarray(data, np.uint8).view("<f4").reshape(indices(tensor.shape))
