"""K-means on a line, where it needs no more than sorting once."""

from __future__ import annotations

import numpy as np

_MOST_ROUNDS = 300


def kmeans_1d(values: np.ndarray, clusters: int) -> np.ndarray:
    """The centroids that k-means finds, in rising order.

    They start evenly spaced over the range of the values, as in Han et al. 2016 ("Deep
    Compression", arXiv 1510.00149, section 3): few large weights matter more than many
    small ones, and get centroids of their own. A centroid that nothing is nearest to,
    as in the gap that pruning leaves around zero, goes where the error is largest.
    Nothing is random. Values that are no more than `clusters` different ones are their
    own centroids.

    Args:
        values: Array of any shape, not empty.
        clusters: How many centroids there may be.

    Returns:
        At most `clusters` centroids in float64.

    Example:

    >>> kmeans_1d(np.array([0.0, 1.0, 2.0, 9.0]), 2).tolist()
    [1.0, 9.0]
    """
    line = np.sort(values, axis=None).astype(np.float64)
    different = line[np.flatnonzero(np.diff(line, prepend=-np.inf))]
    if different.size <= clusters:
        return different
    sums, squares = _running_sum(line), _running_sum(line**2)
    centroids = np.linspace(line[0], line[-1], clusters)
    for _ in range(_MOST_ROUNDS):
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
    """Where the nearest centroid changes: halfway between two neighbours."""
    return (centroids[1:] + centroids[:-1]) / 2


def _running_sum(line: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(line)])


def _split_worst(
    means: np.ndarray, variances: np.ndarray, counts: np.ndarray, missing: int
) -> np.ndarray:
    """The means, and one more in each of the clusters with the largest error."""
    worst = np.argsort(-variances * counts, kind="stable")[:missing]
    return np.union1d(means, means[worst] + np.sqrt(variances[worst].clip(0)))
