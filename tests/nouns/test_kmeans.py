"""K-means on a line, on literals and against brute force."""

import itertools

import numpy as np
import pytest

from keras_prune_kit.clustering.clustered_weight import _assign
from keras_prune_kit.clustering.kmeans import kmeans_1d


@pytest.mark.parametrize(
    ("values", "clusters", "centroids"),
    [
        ([5.0], 2, [5]),
        ([1.0, 1.0, 1.0], 2, [1]),
        ([3.0, 1.0, 2.0], 3, [1, 2, 3]),
        ([0.0, 1.0, 10.0, 11.0], 2, [0.5, 10.5]),
        ([-11.0, 1.0, -10.0, 0.0], 2, [-10.5, 0.5]),
        # The middle start is nearest to nothing; the left side has the larger error.
        ([-11.0, -10.0, -9.0, 10.0, 10.1], 3, [-10.5, -9, 10.05]),
    ],
)
def test_centroids(values, clusters, centroids):
    assert kmeans_1d(np.array(values), clusters) == pytest.approx(centroids)


def error(values, centroids):
    return sum(min((v - c) ** 2 for c in centroids) for v in values)


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_near_the_least_there_is(seed):
    """The best split of a sorted line is found by trying all of them."""
    values = np.sort(np.random.default_rng(seed).normal(size=14))
    splits = itertools.combinations(range(1, 14), 3)
    best = min(
        error(values, [part.mean() for part in np.split(values, split)])
        for split in splits
    )
    assert error(values, kmeans_1d(values, 4)) <= 1.5 * best


def test_it_cannot_be_improved_by_moving_one_value():
    values = np.random.default_rng(0).normal(size=1000).astype("float32")
    centroids = kmeans_1d(values, 16)
    nearest = np.abs(values[:, None] - centroids).argmin(1)
    assert centroids.size == 16
    means = [values[nearest == i].mean(dtype="float64") for i in range(16)]
    assert centroids == pytest.approx(means)


@pytest.mark.parametrize("clusters", [2, 16, 256])
def test_a_gap_around_zero_costs_no_cluster(clusters):
    values = np.random.default_rng(0).normal(size=20_000)
    values = values[np.abs(values) > 1.5]
    assert kmeans_1d(values, clusters).size == clusters


def test_values_next_to_each_other_stay_apart():
    values = np.array([1, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    index, counts = _assign(values, 2)
    assert index.tolist() == [0, 1]
    assert counts.tolist() == [1, 1]


def test_zeros_are_a_cluster_of_their_own():
    index, counts = _assign(np.array([[0.0, 2.0], [-1.0, -0.0]], np.float32), 3)
    assert index.tolist() == [[0, 2], [1, 0]]
    assert counts.tolist() == [0, 1, 1]
    assert index.dtype == np.uint8


def test_nothing_but_zeros_is_one_cluster():
    index, counts = _assign(np.zeros((2, 2), np.float32), 2)
    assert index.tolist() == [[0, 0], [0, 0]]
    assert counts.tolist() == [0]


def test_256_clusters_fit_into_a_byte():
    values = np.random.default_rng(0).normal(size=5000).astype("float32")
    index, _ = _assign(values, 256)
    assert index.max() == 255
