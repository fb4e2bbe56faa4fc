"""Criteria answer one question: which weights matter least?

A criterion is a function from weights to scores of the same shape. Low scores go
first. A weight that is zero already must score lowest, so that pruning only ever
goes forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Criterion = Callable[[np.ndarray], np.ndarray]


def magnitude(weights: np.ndarray) -> np.ndarray:
    """Scores a weight by its absolute value: small weights go first.

    The strongest simple baseline there is (Han et al. 2015, arXiv 1506.02626), and
    what TFMOT's `prune_low_magnitude` does.

    Args:
        weights: Array of any shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> magnitude(np.array([-2.0, 0.5])).tolist()
    [2.0, 0.5]
    """
    return np.abs(weights)


@dataclass(frozen=True)
class RandomScores:
    """What `random_scores` returns."""

    seed: int

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        scores = np.random.default_rng(self.seed).random(weights.shape, np.float32)
        return np.where(weights == 0, np.float32(0), scores + np.float32(1e-6))


def random_scores(seed: int = 0) -> Criterion:
    """Scores weights at random: the control that any other criterion must beat.

    Args:
        seed: The same seed gives the same scores for the same shape, so masks only
            grow along a schedule. Defaults to 0.

    Returns:
        A criterion.

    Raises:
        ValueError: If the seed is not a whole number of at least 0.

    Example:

    >>> scores = random_scores(seed=1)(np.ones((2, 3)))
    >>> scores.shape
    (2, 3)
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(
            f"seed is a whole number, at least 0. Received: seed={seed!r}."
        )
    return RandomScores(seed)
