"""Structures answer one question: in what shape do zeros come?

A structure turns scores into a mask. It sees a kernel with its inputs on the last
axis but one and its outputs on the last, `(..., inputs, outputs)`, whatever the
layer's own layout is.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_POOLINGS = ("avg", "max")

_SAMPLE = 16384


class Structure(abc.ABC):
    """Base of all structures."""

    @abc.abstractmethod
    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        """Chooses what stays.

        Args:
            scores: Array `(..., inputs, outputs)`; high scores stay. Of equal scores
                the one that comes first stays.
            sparsity: The fraction to remove, at least 0 and below 1.

        Returns:
            A boolean array of the same shape, `False` where a weight goes.
        """

    @abc.abstractmethod
    def sparsity(self, weights: np.ndarray) -> float:
        """The fraction of this structure's units that are entirely zero, 0 to 1."""

    @abc.abstractmethod
    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        """Raises a `ValueError` if kernels of this shape cannot be pruned this way.

        Args:
            shape: Shape of the kernel, `(..., inputs, outputs)`.
            final_sparsity: The sparsity to reach, at least 0 and below 1.
        """


@dataclass(frozen=True)
class Unstructured(Structure):
    """Every weight stands for itself: exactly `round(sparsity * size)` zeros.

    The best accuracy at a given sparsity and the smallest compressed file.

    Example:

    >>> Unstructured().mask(np.array([[3.0, 1.0], [2.0, 4.0]]), 0.5).tolist()
    [[True, False], [False, True]]
    """

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        return keep_highest(scores, count_zeros(sparsity, scores.size))

    def sparsity(self, weights: np.ndarray) -> float:
        return _zero_fraction(weights)

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        """Every kernel will do."""


@dataclass(frozen=True)
class Block(Structure):
    """Zeros come in blocks of inputs x outputs; TFMOT's `block_size`.

    For runtimes with block-sparse kernels. Kernels with more than two axes are cut
    into blocks at each spatial position (TFMOT refuses them). Where the block does
    not divide the kernel, the blocks at the far edges are smaller.

    Args:
        shape: Inputs and outputs of a block. Defaults to `(1, 4)`.
        pooling: A block's score is the `"avg"` or the `"max"` of its weights'.
            Defaults to `"avg"`.

    Raises:
        ValueError: If the shape or the pooling is not one of these.

    Example:

    >>> Block((1, 2)).mask(np.array([[3.0, 1.0, 0.0, 9.0]]), 0.5).tolist()
    [[False, False, True, True]]
    """

    shape: tuple[int, int] = (1, 4)
    pooling: str = "avg"

    def __post_init__(self) -> None:
        sizes = self.shape
        if (
            not isinstance(sizes, Sequence)
            or len(sizes) != 2
            or not all(_is_count(n) for n in sizes)
        ):
            raise ValueError(
                "The shape of a block is two whole numbers of at least 1, inputs and "
                f"outputs. Received: shape={sizes!r}."
            )
        object.__setattr__(self, "shape", tuple(sizes))
        if self.pooling not in _POOLINGS:
            raise ValueError(
                f"pooling is one of {_POOLINGS}. Received: pooling={self.pooling!r}."
            )

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        pooled = self._pool(scores)
        kept = keep_highest(pooled, count_zeros(sparsity, pooled.size))
        height, width = self.shape
        blocks = kept.repeat(height, axis=-2).repeat(width, axis=-1)
        return blocks[..., : scores.shape[-2], : scores.shape[-1]]

    def sparsity(self, weights: np.ndarray) -> float:
        return _zero_fraction(self._reduce(np.logical_or, weights != 0))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        if len(shape) < 2 or any(
            b > n for b, n in zip(self.shape, shape[-2:], strict=True)
        ):
            raise ValueError(
                f"A block must fit into the kernel's last two axes. Received: {self} "
                f"for a kernel of shape {shape}. Use a smaller block, or keep this "
                "layer dense with Rule(path, None)."
            )

    def _pool(self, scores: np.ndarray) -> np.ndarray:
        if self.pooling == "max":
            return self._reduce(np.maximum, scores)
        sums = self._reduce(np.add, scores)
        return sums / self._reduce(np.add, np.ones(scores.shape[-2:], scores.dtype))

    def _reduce(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        for axis, size in zip((-2, -1), self.shape, strict=True):
            starts = range(0, values.shape[axis], size)
            values = ufunc.reduceat(values, starts, axis=axis)
        return values


@dataclass(frozen=True)
class NofM(Structure):
    """`n` of every `m` consecutive input weights are kept, such as 2 of 4.

    The pattern of sparse tensor cores (Mishra et al. 2021, arXiv 2104.08378);
    TFMOT's `sparsity_m_by_n`, which counts the zeros instead. Its sparsity is
    `1 - n / m`; below that, on the way there, the lowest-scoring weights of those
    that will go have gone.

    Args:
        n: Weights kept in each group. Defaults to 2.
        m: Size of a group, along the kernel's inputs. Defaults to 4.

    Raises:
        ValueError: Unless 0 < n < m.

    Example:

    >>> NofM(1, 2).mask(np.array([[1.0], [5.0], [3.0], [2.0]]), 0.5).ravel().tolist()
    [False, True, True, False]
    """

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        if not _is_count(self.n) or not _is_count(self.m) or self.n >= self.m:
            raise ValueError(
                "NofM keeps n of every m weights, so 0 < n < m. "
                f"Received: NofM({self.n!r}, {self.m!r})."
            )

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        pattern = self._pattern(scores)
        zeros = count_zeros(sparsity, scores.size)
        if zeros >= scores.size - np.count_nonzero(pattern):
            return pattern
        return keep_highest(np.where(pattern, np.inf, scores), zeros)

    def sparsity(self, weights: np.ndarray) -> float:
        return _zero_fraction(weights)

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        if len(shape) < 2 or shape[-2] % self.m:
            raise ValueError(
                f"{self} needs a kernel whose inputs are a multiple of {self.m}. "
                f"Received: a kernel of shape {shape}, inputs on the last axis but "
                "one. Keep this layer dense with Rule(path, None)."
            )
        own = 1 - self.n / self.m
        if not math.isclose(final_sparsity, own):
            raise ValueError(
                f"{self} means a final sparsity of {own:g}. "
                f"Received: {final_sparsity:g}. Ask for {own:g}."
            )

    def _pattern(self, scores: np.ndarray) -> np.ndarray:
        """The whole pattern: each weight's rank in its group, compared with n."""
        inputs_last = np.swapaxes(scores, -2, -1)
        groups = inputs_last.reshape(-1, self.m)
        rank = np.zeros(groups.shape, np.min_scalar_type(self.m))
        for index in range(self.m):
            other = groups[:, index, None]
            rank += other > groups
            rank[:, index + 1 :] += other == groups[:, index + 1 :]
        kept = (rank < self.n).reshape(inputs_last.shape)
        return np.swapaxes(kept, -2, -1)


@dataclass(frozen=True)
class Channel(Structure):
    """Zeros come in whole channels, neurons or filters.

    A channel's score is the mean of its weights' (with `magnitude` its L1 norm, as
    in Li et al. 2017, arXiv 1608.08710). What is zero can later be cut out, which is
    the only pruning that makes any runtime faster.

    Args:
        axis: -1 for output channels, -2 for input channels. Defaults to -1.

    Raises:
        ValueError: If the axis is neither.

    Example:

    >>> Channel().mask(np.array([[3.0, 1.0], [2.0, 1.0]]), 0.5).tolist()
    [[True, False], [True, False]]
    """

    axis: int = -1

    def __post_init__(self) -> None:
        if self.axis not in (-1, -2):
            raise ValueError(
                "axis is -1 for output channels or -2 for input channels. "
                f"Received: axis={self.axis!r}."
            )

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        channels = scores.mean(axis=self._others(scores), keepdims=True)
        kept = keep_highest(channels, count_zeros(sparsity, channels.size))
        return np.broadcast_to(kept, scores.shape).copy()

    def sparsity(self, weights: np.ndarray) -> float:
        return _zero_fraction((weights != 0).any(axis=self._others(weights)))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        if len(shape) < 2:
            raise ValueError(
                f"{self} needs a kernel with inputs and outputs. Received: a weight of "
                f"shape {shape}. Keep it dense with Rule(path, None)."
            )

    def _others(self, array: np.ndarray) -> tuple[int, ...]:
        return tuple(
            axis for axis in range(array.ndim) if axis != array.ndim + self.axis
        )


def count_zeros(sparsity: float, size: int) -> int:
    """How many of `size` weights go: `round(sparsity * size)`, but never all."""
    return max(0, min(round(sparsity * size), size - 1))


def count_nonzero(values: np.ndarray) -> int:
    """`np.count_nonzero`, four times as fast on floats."""
    return int(np.count_nonzero(values != 0))


def keep_highest(scores: np.ndarray, zeros: int) -> np.ndarray:
    """A mask with exactly `zeros` entries `False`, at the lowest scores.

    Of equal scores the one that comes first stays. Selection, not sorting, so the
    time grows with the size alone.
    """
    if zeros == 0:
        return np.ones(scores.shape, bool)
    flat = scores.ravel()
    threshold = _nth_lowest(flat, zeros - 1)
    mask = flat > threshold
    missing = flat.size - zeros - np.count_nonzero(mask)
    if missing:
        mask[np.flatnonzero(flat == threshold)[:missing]] = True
    return mask.reshape(scores.shape)


def _nth_lowest(values: np.ndarray, n: int) -> np.floating:
    """The value of rank `n`; of a large array only a narrow band is partitioned.

    A sample brackets the rank between two values. Equal values, such as the zeros of
    a pruned kernel, are counted and never partitioned, which is slow for them. If the
    sample was wrong the whole array is partitioned, so the result is always exact.
    """
    if values.size <= 2 * _SAMPLE:
        return np.partition(values, n)[n]
    sample = np.sort(values[:: values.size // _SAMPLE])
    stride = values.size / sample.size
    rank = min(round(n / stride), sample.size - 1)
    # One exact count tells how far off the sample's ranks are around here; what is
    # left is the noise of counting that many more (five standard deviations of it).
    off = round((n - int(np.count_nonzero(values <= sample[rank]))) / stride)
    margin = 8 + math.ceil(5 * math.sqrt(abs(off)))
    low, high = sample.take((rank + off - margin, rank + off + margin), mode="clip")
    is_above_low = values > low
    up_to_low = values.size - int(np.count_nonzero(is_above_low))
    if n < up_to_low:
        is_right = n >= np.count_nonzero(values < low)
        return low if is_right else np.partition(values, n)[n]
    is_above_low &= values < high
    band = values[is_above_low]
    if n < up_to_low + band.size:
        return np.partition(band, n - up_to_low)[n - up_to_low]
    is_right = n < np.count_nonzero(values <= high)
    return high if is_right else np.partition(values, n)[n]


def _zero_fraction(values: np.ndarray) -> float:
    return 1 - count_nonzero(values) / values.size if values.size else 0.0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
