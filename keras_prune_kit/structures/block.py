"""Block sparsity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_prune_kit._tools.checks import as_array, is_one_of, widened
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.structures.ranking import count_zeros, keep_highest, zero_fraction
from keras_prune_kit.structures.structure import Structure, check_shape, is_count

_POOLINGS = ("avg", "max")


@dataclass(frozen=True)
class Block(Structure):
    """Zeros come in blocks of inputs x outputs; TFMOT's `block_size`.

    For runtimes with block-sparse kernels. Kernels with more than two axes are split
    into blocks at each spatial position (TFMOT refuses them). If the block size does
    not divide the kernel, the last blocks along an axis are smaller.

    Args:
        shape: Block size as `(inputs, outputs)`. Defaults to `(1, 4)`.
        pooling: `"avg"` or `"max"`: a block's score is the mean or the maximum of the
            scores of its weights. Defaults to `"avg"`.

    Raises:
        ValueError: If `shape` or `pooling` is invalid.

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
            or not all(is_count(n) for n in sizes)
        ):
            raise ValueError(
                "The shape of a block is two whole numbers of at least 1, inputs and "
                f"outputs. Received: shape={sizes!r}."
            )
        # A frozen dataclass; from JSON the shape comes as a list, which has no hash.
        object.__setattr__(self, "shape", tuple(sizes))
        if not is_one_of(self.pooling, _POOLINGS):
            raise ValueError(
                f"pooling is one of {_POOLINGS}. Received: pooling={self.pooling!r}."
                + did_you_mean(self.pooling, _POOLINGS)
            )

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        scores = as_array("scores", scores, least_axes=2)
        pooled = self._pool(scores)
        kept = keep_highest(pooled, count_zeros(sparsity, pooled.size))
        height, width = self.shape
        blocks = kept.repeat(height, axis=-2).repeat(width, axis=-1)
        # Repeating made the smaller blocks at the edges whole.
        return blocks[..., : scores.shape[-2], : scores.shape[-1]]

    def sparsity(self, weights: np.ndarray) -> float:
        weights = as_array("weights", weights, least_axes=2)
        return zero_fraction(self._reduce(np.logical_or, weights != 0))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        check_shape(shape)
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
        scores = widened(scores)
        sums = self._reduce(np.add, scores)
        # By the count of each block, as those at the edges may be smaller.
        return sums / self._reduce(np.add, np.ones(scores.shape[-2:], scores.dtype))

    def _reduce(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        for axis, size in zip((-2, -1), self.shape, strict=True):
            starts = range(0, values.shape[axis], size)
            values = ufunc.reduceat(values, starts, axis=axis)
        return values
