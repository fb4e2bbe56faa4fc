"""Rows of inputs that a kernel is multiplied by, cut out of a layer's input.

A layout turns the layer's input into `(groups, rows, inputs)` and its kernel into
`(groups, inputs, outputs)`, so that their product has all outputs of the layer before
bias and activation. There is one group but in grouped convolutions and in an
EinsumDense with a batch axis in its kernel.
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


@dataclass(frozen=True)
class Patches(Layout):
    """The inputs of a convolution in any number of dimensions.

    Attributes:
        size: The kernel's size along each dimension.
        strides: The strides.
        dilation: The dilation rates.
        padding: `"valid"`, `"same"` or `"causal"`.
        is_channels_first: True for `data_format="channels_first"`.
        groups: The number of groups that the channels are divided into.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "valid"
    is_channels_first: bool = False
    groups: int = 1

    def count(self, shape: tuple[int, ...]) -> int:
        return shape[0] * math.prod(self._places(self._spatial(shape)))

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        patches = self.patches(x, chosen)
        split = patches.reshape(*patches.shape[:-1], self.groups, -1)
        moved = np.moveaxis(split, -2, 0)
        return moved.reshape(self.groups, len(chosen), -1)

    def patches(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return patches of shape `(rows, *size, channels)`."""
        if self.is_channels_first:
            x = np.moveaxis(x, 1, -1)
        spatial = x.shape[1:-1]
        padding = [self._padding(axis, length) for axis, length in enumerate(spatial)]
        x = np.pad(x, [(0, 0), *padding, (0, 0)])
        sample, *places = np.unravel_index(chosen, (len(x), *self._places(spatial)))
        rank = len(spatial)
        index = [sample.reshape(-1, *[1] * rank)]
        for axis, place in enumerate(places):
            taps = np.arange(self.size[axis]) * self.dilation[axis]
            at = place[:, None] * self.strides[axis] + taps
            shape = [1] * rank
            shape[axis] = len(taps)
            index.append(at.reshape(-1, *shape))
        return x[tuple(index)]

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        inputs = math.prod(kernel.shape[:-1])
        return np.moveaxis(kernel.reshape(inputs, self.groups, -1), 1, 0)

    def kernel(self, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.moveaxis(matrices, 0, 1).reshape(shape)

    def _spatial(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[2:] if self.is_channels_first else shape[1:-1]

    def _places(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of outputs along each dimension."""
        return tuple(
            (length + sum(self._padding(axis, length)) - self._reach(axis))
            // self.strides[axis]
            + 1
            for axis, length in enumerate(spatial)
        )

    def _padding(self, axis: int, length: int) -> tuple[int, int]:
        """Return the zeros before and after a dimension, as TensorFlow adds them."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self._reach(axis) - 1, 0
        stride = self.strides[axis]
        steps = -(-length // stride) - 1
        total = max(0, steps * stride + self._reach(axis) - length)
        return total // 2, total - total // 2

    def _reach(self, axis: int) -> int:
        return (self.size[axis] - 1) * self.dilation[axis] + 1


@dataclass(frozen=True, eq=False)
class SeparableRows(Patches):
    """The inputs of a separable convolution's second step: the outputs of the first.

    Attributes:
        depthwise: The kernel of the first step, `(*size, channels, multiplier)`.
    """

    depthwise: np.ndarray | None = None

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        products = self.patches(x, chosen)[..., None] * self.depthwise
        sums = products.sum(tuple(range(1, 1 + len(self.size))))
        return sums.reshape(1, len(chosen), -1)

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.reshape(1, *kernel.shape[-2:])
