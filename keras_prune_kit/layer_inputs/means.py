"""Means over the inputs of a kernel, for the criteria that need them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_prune_kit.criteria import Criterion, InputsNeeded, scored_by
from keras_prune_kit.layer_inputs.kernels import Kernel
from keras_prune_kit.layer_inputs.layouts import MOST_ROWS

# As a share of the mean square of the inputs.
DAMPING = 0.01
# A solution that fits few rows exactly says little about others.
DAMPING_OF_FEW_ROWS = 0.1

# The products of all pairs of more inputs take gigabytes and minutes.
_MOST_INPUTS = 2_048


class InputMeans:
    """Means of squares or products of a kernel's inputs, over all calls of its layer.

    Args:
        kernel: The kernel.
        needed: The inputs that its criterion needs.
    """

    def __init__(self, kernel: Kernel, needed: InputsNeeded) -> None:
        self._kernel = kernel
        self._has_pairs = needed.statistic == "products"
        groups, inputs, _ = kernel.value().shape
        size = _MOST_INPUTS if self._has_pairs else inputs
        self._parts = [slice(i, i + size) for i in range(0, inputs, size)]
        self._totals = [self._zeros(groups, inputs, part) for part in self._parts]
        self._sums = np.zeros((groups, inputs))
        self._rows = self._calls = 0

    def take(self, arrays: Sequence[np.ndarray | None]) -> None:
        """Take in the inputs of a call of the layer.

        Raises:
            ValueError: If they are not finite.
        """
        x = arrays[self._kernel.operand]
        if x is None:
            return
        # The seed differs between calls, which may have the same shape.
        chosen = self._kernel.layout.choose(x.shape, MOST_ROWS, seed=self._calls)
        self._calls += 1
        for rows in self._kernel.rows(x, chosen):
            self._add(rows)

    @property
    def is_seen(self) -> bool:
        """True if there was an input."""
        return self._calls > 0

    def scores(self, criterion: Criterion) -> np.ndarray:
        """Return a criterion's scores in the layout of structures.

        Raises:
            ValueError: If the criterion does not return one score per value.
        """
        kernel, matrices = self._kernel, self._kernel.value()
        scores = np.empty(matrices.shape)
        for part, means in zip(self._parts, self._means(), strict=True):
            for group, matrix in enumerate(matrices):
                scores[group, part] = scored_by(
                    criterion, kernel.path, matrix[part], means[group]
                )
        return kernel.layout.kernel(scores, kernel.weight.canonical_shape())

    def _zeros(self, groups: int, inputs: int, part: slice) -> np.ndarray:
        size = len(range(inputs)[part])
        return np.zeros((groups, size, size) if self._has_pairs else (groups, size))

    def _add(self, rows: np.ndarray) -> None:
        self._rows += rows.shape[1]
        self._sums += rows.sum(1)
        for part, total in zip(self._parts, self._totals, strict=True):
            some = rows[..., part]
            if self._has_pairs:
                total += some.swapaxes(1, 2) @ some
            else:
                total += np.square(some).sum(1)

    def _means(self) -> list[np.ndarray]:
        means = [total / self._rows for total in self._totals]
        if not self._has_pairs:
            return means
        diagonals = [np.diagonal(mean, axis1=1, axis2=2) for mean in means]
        energy = np.concatenate(diagonals, axis=1).mean(1)
        is_enough = self._rows >= self._sums.shape[1]
        added = energy * (DAMPING if is_enough else DAMPING_OF_FEW_ROWS)
        return [
            mean - self._constant(part) + added[:, None, None] * np.eye(mean.shape[-1])
            for part, mean in zip(self._parts, means, strict=True)
        ]

    def _constant(self, part: slice) -> np.ndarray | float:
        """Return the part of the products that a bias can make up for."""
        if self._kernel.bias is None:
            return 0.0
        means = self._sums[:, part] / self._rows
        return means[:, :, None] * means[:, None, :]
