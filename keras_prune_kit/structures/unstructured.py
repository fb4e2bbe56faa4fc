"""Unstructured sparsity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_prune_kit._tools.checks import as_array
from keras_prune_kit.structures.ranking import count_zeros, keep_highest, zero_fraction
from keras_prune_kit.structures.structure import Structure


@dataclass(frozen=True)
class Unstructured(Structure):
    """Zeros come anywhere: exactly `round(sparsity * size)` single weights.

    It has the best accuracy at a given sparsity and the smallest compressed file.

    Example:

    >>> Unstructured().mask(np.array([[3.0, 1.0], [2.0, 4.0]]), 0.5).tolist()
    [[True, False], [False, True]]
    """

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        scores = as_array("scores", scores)
        return keep_highest(scores, count_zeros(sparsity, scores.size))

    def sparsity(self, weights: np.ndarray) -> float:
        return zero_fraction(as_array("weights", weights))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        """Accept kernels of every shape."""
