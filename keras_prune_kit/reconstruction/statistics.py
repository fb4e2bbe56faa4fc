"""Sums over a kernel's inputs, from which least squares for any mask follow.

A row is one set of inputs that the kernel is multiplied by: a sample of a Dense layer,
a patch of a convolution. The bias is one more weight, whose input is always 1, in the
last row of the weights.
"""

from __future__ import annotations

import abc

import numpy as np

from keras_prune_kit._tools.symmetric import Symmetric

# Damping keeps the bias at its value a million times less than other weights: its
# input is 1, whatever the scale of theirs.
_OF_BIAS = 1e-6

_ROUNDING = 1e-12


class Statistics(abc.ABC):
    """The inputs of a kernel and the outputs that they shall give.

    Args:
        inputs: The number of inputs.
        outputs: The number of outputs.
        has_bias: True if the outputs have a bias.

    Attributes:
        rows: The number of rows so far.
        spread: The sum of squared differences of the outputs from their means.
    """

    def __init__(self, inputs: int, outputs: int, has_bias: bool) -> None:
        self.inputs = inputs
        self.has_bias = has_bias
        self.rows = 0
        self._squares = 0.0
        self._sums = np.zeros(outputs)

    def add(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Take in more rows.

        Args:
            rows: Inputs of shape `(rows, inputs)`.
            targets: Outputs of shape `(rows, outputs)`.
        """
        rows, targets = rows.astype(np.float64), targets.astype(np.float64)
        if self.has_bias:
            rows = np.hstack([rows, np.ones((len(rows), 1))])
        self.rows += len(rows)
        self._squares += float(np.square(targets).sum())
        self._sums += targets.sum(0)
        self._take(rows, targets)

    @property
    def spread(self) -> float:
        spread = self._squares - float(np.square(self._sums).sum()) / self.rows
        # The difference of two equal sums is not zero, but for rounding.
        return spread if spread > _ROUNDING * self._squares else 0.0

    def damping(self, share: float) -> np.ndarray:
        """Return what is added to the diagonal, as a share of its mean over inputs."""
        damping = np.full(self.inputs + self.has_bias, share * self.energy())
        damping[self.inputs :] *= _OF_BIAS
        return damping

    def energy(self) -> float:
        """Return the mean square of the inputs times the number of rows."""
        return float(self._diagonal()[: self.inputs].mean())

    @abc.abstractmethod
    def residual(self, weights: np.ndarray) -> np.ndarray:
        """Return what `correction` needs to know of the weights' errors."""

    @abc.abstractmethod
    def error(self, weights: np.ndarray) -> float:
        """Return the sum of the squared errors of all outputs."""

    @abc.abstractmethod
    def correction(
        self, residual: np.ndarray, kept: np.ndarray, damping: np.ndarray
    ) -> np.ndarray:
        """Return the change of some weights that leaves the smallest errors.

        Args:
            residual: From `residual`, of the outputs to correct.
            kept: The indices of the inputs whose weights may change.
            damping: How much the square of each such change counts.
        """

    @abc.abstractmethod
    def _take(self, rows: np.ndarray, targets: np.ndarray) -> None: ...

    @abc.abstractmethod
    def _diagonal(self) -> np.ndarray: ...


class GramStatistics(Statistics):
    """The products of all pairs of inputs, whatever the number of rows.

    Attributes:
        gram: The products, `(inputs, inputs)`, with a last row and column for the bias.
    """

    def __init__(self, inputs: int, outputs: int, has_bias: bool) -> None:
        super().__init__(inputs, outputs, has_bias)
        size = inputs + has_bias
        self.gram = np.zeros((size, size))
        self._cross = np.zeros((size, outputs))

    def residual(self, weights: np.ndarray) -> np.ndarray:
        return self._cross - self.gram @ weights

    def error(self, weights: np.ndarray) -> float:
        fitted = np.vdot(weights, self.gram @ weights - 2 * self._cross)
        return max(0.0, self._squares + float(fitted))

    def correction(
        self, residual: np.ndarray, kept: np.ndarray, damping: np.ndarray
    ) -> np.ndarray:
        return self.system(kept, damping).solve(residual[kept])

    def system(self, kept: np.ndarray, damping: np.ndarray) -> Symmetric:
        """Return the matrix of the equations for some weights."""
        return Symmetric(self.gram[np.ix_(kept, kept)] + np.diag(damping))

    def _take(self, rows: np.ndarray, targets: np.ndarray) -> None:
        self.gram += rows.T @ rows
        self._cross += rows.T @ targets

    def _diagonal(self) -> np.ndarray:
        return np.diagonal(self.gram)


class RowStatistics(Statistics):
    """The rows themselves, where all pairs of inputs would take more memory."""

    def __init__(self, inputs: int, outputs: int, has_bias: bool) -> None:
        super().__init__(inputs, outputs, has_bias)
        self._rows = np.zeros((0, inputs + has_bias))
        self._targets = np.zeros((0, outputs))

    def residual(self, weights: np.ndarray) -> np.ndarray:
        return self._targets - self._rows @ weights

    def error(self, weights: np.ndarray) -> float:
        return float(np.square(self.residual(weights)).sum())

    def correction(
        self, residual: np.ndarray, kept: np.ndarray, damping: np.ndarray
    ) -> np.ndarray:
        rows = self._rows[:, kept]
        if len(kept) <= len(rows) or not damping.all():
            gram = rows.T @ rows + np.diag(damping)
            return Symmetric(gram).solve(rows.T @ residual)
        # The same, by a matrix of rows instead of inputs.
        scaled = rows / damping
        gram = rows @ scaled.T + np.eye(len(rows))
        return scaled.T @ Symmetric(gram).solve(residual)

    def _take(self, rows: np.ndarray, targets: np.ndarray) -> None:
        self._rows = np.vstack([self._rows, rows])
        self._targets = np.vstack([self._targets, targets])

    def _diagonal(self) -> np.ndarray:
        return np.square(self._rows).sum(0)
