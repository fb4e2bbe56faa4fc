"""One-dimensional k-means, for which one sort of the values is enough."""

from __future__ import annotations

import numpy as np

_MOST_ROUNDS = 300


def kmeans_1d(values: np.ndarray, clusters: int) -> np.ndarray:
    """Return the k-means centroids of values, in ascending order.

    The initial centroids are evenly spaced over the range of the values, as in Han et
    al. 2016 ("Deep Compression", arXiv 1510.00149, section 3): the few large weights
    matter more than the many small ones, and get centroids of their own. A centroid
    without members, as in the gap that pruning leaves around zero, moves to where the
    error is largest. The result is deterministic. If there are at most `clusters`
    distinct values, they are the centroids.

    Args:
        values: Array of any shape, not empty.
        clusters: The largest number of centroids.

    Returns:
        At most `clusters` centroids, float64.

    Example:

    >>> kmeans_1d(np.array([0.0, 1.0, 2.0, 9.0]), 2).tolist()
    [1.0, 9.0]
    """
    # Running sums in float32 would lose the small weights.
    line = np.sort(values, axis=None).astype(np.float64)
    different = line[np.flatnonzero(np.diff(line, prepend=-np.inf))]
    if different.size <= clusters:
        return different
    sums, squares = _running_sum(line), _running_sum(line**2)
    centroids = np.linspace(line[0], line[-1], clusters)
    for _ in range(_MOST_ROUNDS):
        # Clusters are stretches of the sorted line: differences of sums give their
        # means.
        edges = [0, *np.searchsorted(line, borders(centroids)), line.size]
        used = np.diff(edges) > 0
        counts = np.diff(edges)[used]
        means = np.diff(sums[edges])[used] / counts
        if not used.all():
            variances = np.diff(squares[edges])[used] / counts - means**2
            means = _split_worst(means, variances, counts, clusters - means.size)
        if np.array_equal(means, centroids):
            break
        centroids = means
    return centroids


def borders(centroids: np.ndarray) -> np.ndarray:
    """Return the borders between clusters: the midpoints of adjacent centroids."""
    return (centroids[1:] + centroids[:-1]) / 2


def _running_sum(line: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(line)])


def _split_worst(
    means: np.ndarray, variances: np.ndarray, counts: np.ndarray, missing: int
) -> np.ndarray:
    """Return the means, and one more in each of the clusters with the largest error."""
    # Stable, so that of equal errors the lowest cluster is split on every machine.
    worst = np.argsort(-variances * counts, kind="stable")[:missing]
    # Rounding can make a difference of squares slightly negative.
    return np.union1d(means, means[worst] + np.sqrt(variances[worst].clip(0)))
