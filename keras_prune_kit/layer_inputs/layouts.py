"""Rows of inputs that a kernel is multiplied by, cut out of a layer's input.

A layout turns the layer's input into `(groups, rows, inputs)` and its kernel into
`(groups, inputs, outputs)`, so that their product has all outputs of the layer before
bias and activation. There is one group but in grouped and depthwise convolutions and in
an EinsumDense with a batch axis in its kernel.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Neighbouring patches resemble each other: more of them add time, hardly knowledge.
MOST_ROWS = 16_384
_ROWS_AT_ONCE = 4_096


class Layout(abc.ABC):
    """The way in which a layer applies its kernel."""

    @abc.abstractmethod
    def count(self, shape: tuple[int, ...]) -> int:
        """Return the number of rows in an input of a shape, with its batch."""

    @abc.abstractmethod
    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the rows of some indices as `(groups, rows, inputs)`."""

    def choose(self, shape: tuple[int, ...], most: int, seed: int) -> np.ndarray:
        """Return the indices of the rows that are looked at, spread by chance."""
        total = self.count(shape)
        if total <= most:
            return np.arange(total)
        random = np.random.default_rng(seed)
        return np.sort(random.choice(total, max(1, most), replace=False))

    def parts(self, x: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows in parts, as a row is many times what it is cut from."""
        for start in range(0, len(chosen), _ROWS_AT_ONCE):
            yield self.rows(x, chosen[start : start + _ROWS_AT_ONCE])

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        """Return a canonical kernel as `(groups, inputs, outputs)`."""
        return kernel.reshape(-1, *kernel.shape[-2:])

    def kernel(self, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Apply the inverse of `matrices`."""
        return matrices.reshape(shape)


@dataclass(frozen=True)
class DenseRows(Layout):
    """The last axis holds the inputs, as in Dense."""

    def count(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape[:-1])

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return x.reshape(-1, x.shape[-1])[chosen][None]


@dataclass(frozen=True)
class EinsumRows(Layout):
    """The axes of an EinsumDense, such as `"abc,cde->abde"`.

    Attributes:
        equation: The equation of the layer.
    """

    equation: str

    def count(self, shape: tuple[int, ...]) -> int:
        _, places, _ = self._axes(len(shape))
        return math.prod(shape[axis] for axis in places)

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        axes = self._axes(x.ndim)
        sizes = [math.prod(x.shape[axis] for axis in kind) for kind in axes]
        return x.transpose(sum(axes, ())).reshape(sizes)[:, chosen]

    def keeps_order_of_outputs(self) -> bool:
        """Return True if the kernel's output axes are in the order of the outputs'."""
        data, kernel, output = _operands(self.equation)
        made = [c for c in kernel if c in output and c not in data]
        return made == sorted(made, key=output.index)

    def sums_elsewhere(self) -> bool:
        """Return True if it sums over an axis of one operand alone."""
        data, kernel, output = _operands(self.equation)
        summed = [c for c in data + kernel if c.isalpha() and c not in output]
        return any(c not in data or c not in kernel for c in summed)

    def _axes(self, rank: int) -> tuple[tuple[int, ...], ...]:
        """Return the axes of the groups, the rows and the inputs."""
        data, kernel, output = _letters(self.equation, rank)
        groups = [c for c in kernel if c in data and c in output]
        inputs = [c for c in kernel if c not in output]
        places = [c for c in data if c not in kernel]
        return tuple(tuple(map(data.index, part)) for part in (groups, places, inputs))


def _operands(equation: str) -> list[str]:
    return equation.replace(" ", "").replace("->", ",").split(",")


def _letters(equation: str, rank: int) -> tuple[str, str, str]:
    """Return the operands of an equation with a letter for each axis."""
    data, kernel, output = _operands(equation)
    hidden = rank - len(data.replace("...", ""))
    # Equations are of Latin letters, so Greek ones are free.
    names = "".join(chr(ord("\u03b1") + number) for number in range(hidden))
    return data.replace("...", names), kernel, output.replace("...", names)
