"""Channels that contribute nothing: without them, the outputs stay the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Fold, Reader, Slice, Values, unknown
from keras_prune_kit.channels.traces import Trace


class Silence:
    """The silent channels of a traced model.

    A channel can leave without a change if, wherever it is mixed into channels that
    stay, its value is zero, or a constant that moves into the bias, or the weights that
    read it are zero.

    Args:
        found: The trace.
    """

    def __init__(self, found: Trace) -> None:
        self._trace = found
        self._values = _constants(found)
        self._all_roots = found.ties.roots(np.arange(len(found.ties)))
        self._nonzero: dict[int, np.ndarray] = {}
        self._folding = _folding(found)

    def roots(self) -> np.ndarray:
        """Return the roots of all silent channels; each layer keeps one at least."""
        found = self._trace
        barred = found.reasons(found.kept).keys() | found.reasons(found.coupled).keys()
        goes = ~np.isin(self._all_roots, list(barred))
        # The largest set of which none contributes to a channel that stays.
        while True:
            loud = [
                reader.ids[goes[reader.ids] & ~self._are_silent(reader, ~goes)]
                for reader in found.readers
            ]
            loud = np.unique(np.concatenate([np.zeros(0, np.int64), *loud]))
            if not loud.size:
                break
            goes &= ~np.isin(self._all_roots, self._all_roots[loud])
        return leave_some(np.unique(self._all_roots[goes]), found)

    def folds(self, stays: np.ndarray) -> list[Fold]:
        """Return the contributions of constant channels that go.

        Args:
            stays: For each channel id, True if it stays.
        """
        folds = []
        for reader in self._trace.readers:
            if reader.fold is None or id(reader) not in self._folding:
                continue
            values = np.nan_to_num(self._values[id(reader.sources[0])])
            gone = np.where(stays[reader.ids], 0.0, values)
            if gone.any():
                folds.append(reader.fold(gone))
        return folds

    def _are_silent(self, reader: Reader, stays: np.ndarray) -> np.ndarray:
        silent = np.zeros(len(reader.ids), bool)
        for source in reader.sources:
            values = self._values[id(source)]
            folds = id(reader) in self._folding
            silent |= np.isfinite(values) if folds else values == 0
        for slices in reader.alternatives:
            silent |= np.all([self._is_zero(s, stays) for s in slices], 0)
        return silent

    def _is_zero(self, part: Slice, stays: np.ndarray) -> np.ndarray:
        """Return, for each channel, True if its slice is zero where channels stay."""
        variable, axis = part.variable, part.axis
        if id(variable) not in self._nonzero:
            self._nonzero[id(variable)] = _keras.as_array(variable) != 0
        nonzero = self._nonzero[id(variable)]
        # Only in the direction of the computation: of two channels that need each
        # other, neither makes the other silent.
        ids = None if part.to is None else self._trace.cuts[id(variable)].axes[part.to]
        if ids is not None:
            nonzero = np.compress(stays[ids], nonzero, part.to)
        others = tuple(other for other in range(nonzero.ndim) if other != axis)
        is_zero = np.asarray(~nonzero.any(others))
        return is_zero if part.index is None else is_zero[part.index]


def never_silent(found: Trace) -> set[int]:
    """Return the roots of channels that would contribute even if they were zero.

    A filter of zeros before a sigmoid gives a half everywhere, which cannot move into
    the bias of a convolution that pads its input.

    Args:
        found: The trace.
    """
    found.assumes_zero = True
    try:
        values, folding = _constants(found), _folding(found)
    finally:
        found.assumes_zero = False
    loud = [np.zeros(0, np.int64)]
    for reader in found.readers:
        is_quiet = not reader.sources and _is_made(found, reader)
        silent = np.full(len(reader.ids), is_quiet)
        for source in reader.sources:
            value = values[id(source)]
            silent |= np.isfinite(value) if id(reader) in folding else value == 0
        loud.append(reader.ids[~silent])
    return set(found.ties.roots(np.concatenate(loud)).tolist())


def _is_made(found: Trace, reader: Reader) -> bool:
    """Return True if channels inside a layer are silent if what makes them is zero."""
    return any(
        all(found.cuts[id(part.variable)].makes == part.axis for part in slices)
        for slices in reader.alternatives
    )


def _folding(found: Trace) -> set[int]:
    """Return the readers whose layer takes constants into its bias, by their ids."""
    read = Counter(_kernel_of(reader) for reader in found.readers)
    # The calls of a shared layer have one bias, but constants of their own.
    return {
        id(reader)
        for reader in found.readers
        if reader.fold is not None and read[_kernel_of(reader)] == 1
    }


def _kernel_of(reader: Reader) -> tuple[int, ...]:
    return tuple(id(part.variable) for part in sum(reader.alternatives, ()))


def leave_some(roots: np.ndarray, found: Trace) -> np.ndarray:
    """Return the roots of the channels that can go if each layer keeps one.

    Args:
        roots: The roots of the channels that would go.
        found: The trace.
    """
    goes = set(roots.tolist())
    for made in found.made:
        own = found.ties.roots(made.ids).tolist()
        if goes.issuperset(own):
            goes.discard(own[0])
    return np.array(sorted(goes), np.int64)


def _constants(found: Trace) -> dict[int, Values]:
    """Return the constant channels of each tensor, by the id of its flow."""
    values: dict[int, Any] = {}
    for step in found.steps:
        inputs = [values.get(id(flow), unknown(flow)) for flow in step.inputs]
        outputs = (
            [unknown(flow) for flow in step.outputs]
            if step.constants is None or any(flow.ids is None for flow in step.inputs)
            else step.constants(inputs)
        )
        values |= {
            id(flow): value for flow, value in zip(step.outputs, outputs, strict=True)
        }
    for reader in found.readers:
        for source in reader.sources:
            values.setdefault(id(source), unknown(source))
    return values
