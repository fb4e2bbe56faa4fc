"""N-of-M sparsity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keras_prune_kit._tools.checks import as_array, check_number
from keras_prune_kit.structures.ranking import count_zeros, keep_highest, zero_fraction
from keras_prune_kit.structures.structure import Structure, check_shape, is_count


@dataclass(frozen=True)
class NofM(Structure):
    """`n` of every `m` consecutive input weights are kept, such as 2 of 4.

    The pattern of sparse tensor cores (Mishra et al. 2021, arXiv 2104.08378);
    TFMOT's `sparsity_m_by_n`, which counts the zeros instead. The final sparsity is
    `1 - n / m`. At a lower sparsity, during the ramp, only the lowest-scoring of the
    weights outside the pattern are zero.

    Args:
        n: Weights kept in each group. Defaults to 2.
        m: Weights in a group, along the kernel's inputs. Defaults to 4.

    Raises:
        ValueError: Unless 0 < n < m.

    Example:

    >>> NofM(1, 2).mask(np.array([[1.0], [5.0], [3.0], [2.0]]), 0.5).ravel().tolist()
    [False, True, True, False]
    """

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        if not is_count(self.n) or not is_count(self.m) or self.n >= self.m:
            raise ValueError(
                "NofM keeps n of every m weights, so 0 < n < m. "
                f"Received: NofM({self.n!r}, {self.m!r})."
            )

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        scores = self._fitting(as_array("scores", scores, least_axes=2))
        pattern = self._pattern(scores)
        zeros = count_zeros(sparsity, scores.size)
        # More zeros would have to come out of the n best of a group.
        if zeros >= scores.size - np.count_nonzero(pattern):
            return pattern
        # Infinite scores keep the pattern's weights whatever the others are.
        return keep_highest(np.where(pattern, np.inf, scores), zeros)

    def sparsity(self, weights: np.ndarray) -> float:
        return zero_fraction(as_array("weights", weights))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        check_shape(shape)
        check_number("final_sparsity", final_sparsity, 0, 1)
        if len(shape) < 2 or shape[-2] % self.m:
            raise ValueError(
                f"{self} needs a kernel whose inputs are a multiple of {self.m}. "
                f"Received: a kernel of shape {shape}, with inputs on the second to "
                "last axis. Keep this layer dense with Rule(path, None)."
            )
        own = 1 - self.n / self.m
        # Not ==, as 1 - 2 / 3 and 1 / 3 are two floats.
        if not math.isclose(final_sparsity, own):
            raise ValueError(
                f"{self} has a final sparsity of {own:g}. Received: "
                f"final_sparsity={final_sparsity:g}. Set it to {own:g}."
            )

    def _fitting(self, scores: np.ndarray) -> np.ndarray:
        if scores.shape[-2] % self.m:
            raise ValueError(
                f"The second to last axis of scores for {self}, the inputs, must be a "
                f"multiple of {self.m}. Received: shape {scores.shape}."
            )
        return scores

    def _pattern(self, scores: np.ndarray) -> np.ndarray:
        """Return the mask at the final sparsity: True for the n best of each group."""
        inputs_last = np.swapaxes(scores, -2, -1)
        groups = inputs_last.reshape(-1, self.m)
        # The rank of a weight is the number of weights that precede it in its group.
        # A byte holds a rank for any usual m; NumPy's default takes eight.
        rank = np.zeros(groups.shape, np.min_scalar_type(self.m))
        for index in range(self.m):
            other = groups[:, index, None]
            rank += other > groups
            # Of equal scores the first one precedes, as in `keep_highest`.
            rank[:, index + 1 :] += other == groups[:, index + 1 :]
        kept = (rank < self.n).reshape(inputs_last.shape)
        return np.swapaxes(kept, -2, -1)
