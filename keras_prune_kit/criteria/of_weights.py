"""Criteria that look at weights alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_prune_kit._tools.checks import as_array, check_whole
from keras_prune_kit.criteria.declaring import Criterion


def magnitude(weights: np.ndarray) -> np.ndarray:
    """Score weights by their absolute value: small weights are pruned first.

    This is the strongest simple baseline (Han et al. 2015, arXiv 1506.02626), and the
    criterion of TFMOT's `prune_low_magnitude`.

    Args:
        weights: Array of any shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> magnitude(np.array([-2.0, 0.5])).tolist()
    [2.0, 0.5]
    """
    return np.abs(as_array("weights", weights))


def lamp(weights: np.ndarray) -> np.ndarray:
    """Score weights by their share of the remaining squared norm of their layer.

    The score is `w**2` divided by the sum of the squares of all weights of the layer
    that are at least as large. Within a layer, it ranks like `magnitude`. Across
    layers, the scores are comparable, which suits `scope="global"`: a layer of few or
    small weights is not emptied, as the largest weight of each layer scores 1 (Lee et
    al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning", arXiv
    2010.07611).

    Args:
        weights: Array of any shape, one layer's kernel.

    Returns:
        Scores of the same shape, 0 to 1.

    Example:

    >>> lamp(np.array([-2.0, 1.0])).tolist()
    [1.0, 0.2]
    """
    weights = as_array("weights", weights)
    squares = np.square(weights, dtype=np.float64).ravel()
    order = squares.argsort(kind="stable")
    ascending = squares[order]
    left = ascending[::-1].cumsum()[::-1]
    scores = np.zeros_like(squares)
    scores[order] = np.divide(ascending, left, out=np.zeros_like(left), where=left > 0)
    return scores.reshape(weights.shape)


@dataclass(frozen=True)
class RandomScores:
    """The criterion that `random_scores` returns."""

    seed: int

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        scores = np.random.default_rng(self.seed).random(weights.shape, np.float32)
        return np.where(weights == 0, np.float32(0), scores + np.float32(1e-6))

    def __repr__(self) -> str:
        return f"random_scores({self.seed or ''})"


def random_scores(seed: int = 0) -> Criterion:
    """Return a criterion of random scores, the control for any other criterion.

    Args:
        seed: The seed of the generator. The same seed and shape produce the same
            scores, so that zeros stay zero along a schedule. Defaults to 0.

    Returns:
        A criterion.

    Raises:
        ValueError: If the seed is not a whole number of at least 0.

    Example:

    >>> scores = random_scores(seed=1)(np.ones((2, 3)))
    >>> scores.shape
    (2, 3)
    """
    check_whole("seed", seed, least=0)
    return RandomScores(seed)
