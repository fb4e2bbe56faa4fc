"""The weights that make the channels of a group, for masks that remove whole channels.

A mask on the filters of one layer is not enough: the layers whose outputs are added to
its own must lose the same ones, and biases and normalization must not make them nonzero
again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit.channels.flow import Cut
from keras_prune_kit.channels.silent import never_silent
from keras_prune_kit.channels.tracing import is_followed, trace

_LOUD = "with zero weights they are not zero, and what reads them needs zeros"


@dataclass(frozen=True, eq=False)
class TiedAxis:
    """The axis of a weight on which whole channels are zeroed.

    Attributes:
        variable: The Keras variable.
        axis: The axis.
        roots: For each index on it, the set of tied channels that it belongs to.
        tied: The tied weights of the model.
    """

    variable: Any = field(repr=False)
    axis: int
    roots: np.ndarray
    tied: TiedWeights = field(repr=False)

    def mask(self, gone: np.ndarray) -> np.ndarray:
        """Return the mask of the weight, `False` for the channels that are gone.

        Args:
            gone: The roots of these channels.
        """
        shape = tuple(self.variable.shape)
        sizes = [1] * len(shape)
        sizes[self.axis] = len(self.roots)
        stays = ~np.isin(self.roots, gone).reshape(sizes)
        return np.broadcast_to(stays, shape).copy()

    def means(self, values: np.ndarray, roots: np.ndarray) -> np.ndarray:
        """Return the mean of an array of the weight's shape for each set of channels.

        Args:
            values: The array.
            roots: The sets, in the order of the result.
        """
        others = tuple(a for a in range(values.ndim) if a != self.axis)
        along = values.mean(others, dtype=np.float64)
        at = np.searchsorted(roots, self.roots).clip(max=len(roots) - 1)
        is_in = roots[at] == self.roots
        sums = np.bincount(at[is_in], along[is_in], len(roots))
        return sums / np.maximum(np.bincount(at[is_in], minlength=len(roots)), 1)


class TiedWeights:
    """The channels that masks can zero so that they can be removed later.

    Args:
        model: A built Sequential or functional model of either world.
    """

    def __init__(self, model: Any) -> None:
        self._trace = found = trace(model)
        self._kept = found.reasons(found.kept)
        self._coupled = found.reasons(found.coupled)
        self._axes = {
            id(cut.variable): axis
            for cut in found.cuts.values()
            if (axis := self._axis(cut)) is not None
        }
        self._loud = never_silent(found)
        self._reading = [
            TiedAxis(cut.variable, number, found.ties.roots(ids), self)
            for cut in found.cuts.values()
            for number, ids in enumerate(cut.axes)
            if ids is not None and number != cut.makes and len(cut.axes) > 1
        ]
        self._makers: dict[int, list[int]] = {}
        for key, axis in self._axes.items():
            for root in np.unique(axis.roots).tolist():
                self._makers.setdefault(root, []).append(key)

    def axis(self, variable: Any) -> TiedAxis | None:
        """Return the axis of a weight that makes channels, or `None`."""
        return self._axes.get(id(variable))

    def reason_to_stay(
        self, axis: TiedAxis, kernels: dict[int, str], pruned: Collection[int]
    ) -> str | None:
        """Return the reason why the channels of a weight cannot leave, or `None`.

        Args:
            axis: The axis of the weight.
            kernels: Paths of all prunable weights, by the id of the variable.
            pruned: The ids of those that lose channels.
        """
        for root in np.unique(axis.roots).tolist():
            reason = self._kept.get(root) or self._coupled.get(root)
            if reason is None and root in self._loud:
                reason = _LOUD
            if reason is not None:
                return f"its channels must stay: {reason}"
            for key in self._makers[root]:
                if key in kernels and key not in pruned:
                    return f"tied to {kernels[key]}, which keeps its channels"
        return None

    def readers(self, roots: Collection[int]) -> list[TiedAxis]:
        """Return the axes of kernels that read some channels.

        Args:
            roots: The sets of tied channels.
        """
        return [axis for axis in self._reading if not _apart(axis, roots)]

    def followers(self, axes: Iterable[TiedAxis]) -> list[TiedAxis]:
        """Return the other weights that must be zero with the channels.

        Args:
            axes: Those of the weights that lose channels.
        """
        pruned = {id(axis.variable): axis for axis in axes}
        roots = {root for axis in pruned.values() for root in axis.roots.tolist()}
        return [
            axis
            for key, axis in self._axes.items()
            if key not in pruned and not _apart(axis, roots)
        ]

    def _axis(self, cut: Cut) -> TiedAxis | None:
        if cut.makes is None:
            return None
        ids = cut.axes[cut.makes]
        if ids is None:
            return None
        return TiedAxis(cut.variable, cut.makes, self._trace.ties.roots(ids), self)


def _apart(axis: TiedAxis, roots: Collection[int]) -> bool:
    """Return True if an axis has none of some channels."""
    return set(roots).isdisjoint(axis.roots.tolist())


def tied_weights(model: Any) -> TiedWeights | None:
    """Return the tied weights of a model; `None` if its calls are not known."""
    return TiedWeights(model) if is_followed(model) else None
