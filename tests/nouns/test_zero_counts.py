"""Where the sparsity goes: the numbers by hand."""

import itertools

import numpy as np
import pytest

from keras_prune_kit.policies.allocation.zero_counts import (
    apportion,
    erdos_renyi_zeros,
    global_zeros,
    lower_hull,
    sensitivity_zeros,
)


@pytest.mark.parametrize(
    ("shapes", "total", "zeros"),
    [
        # Kept in proportion to 20 and 200: 9.1 and 90.9 of 100.
        ([(10, 10), (100, 100)], 10_000, [91, 9909]),
        # A kernel's height and width count too: 3+3+1+8 = 15 against 72 values.
        ([(3, 3, 1, 8), (8, 7)], 64, [40, 24]),
        # Twice as much as the first has: it stays dense.
        ([(2, 2), (100, 100)], 5002, [0, 5002]),
        ([(4, 4)], 8, [8]),
        ([(4, 4), (4, 4)], 0, [0, 0]),
        ([(4, 4), (4, 4)], 30, [15, 15]),
    ],
)
def test_erdos_renyi_kernel(shapes, total, zeros):
    assert erdos_renyi_zeros(shapes, total) == zeros


def test_global_takes_the_smallest_but_never_all():
    kernels = [np.array([[0.1, -0.2]]), np.array([-3.0, 0.3, 1.0])]
    assert global_zeros(kernels, 2) == [1, 1]
    assert global_zeros(kernels, 3) == [1, 2]


def cost(curve, zeros):
    """What a curve says of so many zeros, along its lower hull."""
    x, y = zip(*lower_hull([(0, 0), *curve]), strict=True)
    return np.interp(zeros, x, y)


@pytest.mark.parametrize("seed", range(10))
def test_the_split_by_sensitivity_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    curves = [
        [(x, float(y)) for x, y in zip((2, 5, 7, 9), rng.normal(size=4), strict=True)]
        for _ in range(3)
    ]
    total = int(rng.integers(1, 27))
    found = sensitivity_zeros(curves, total)
    assert sum(found) == total
    every = [z for z in itertools.product(range(10), repeat=3) if sum(z) == total]
    best = min(sum(map(cost, curves, zeros)) for zeros in every)
    assert sum(map(cost, curves, found)) == pytest.approx(best, abs=1e-6)


def test_a_hull_has_no_dents():
    points = [(0, 0), (1, 5), (2, 1), (3, 3), (4, 2), (5, 9)]
    assert lower_hull(points) == [(0, 0), (4, 2), (5, 9)]


@pytest.mark.parametrize(
    ("zeros", "sizes", "total", "whole"),
    [
        ([1.5, 2.7, 0.8], [9, 9, 9], 5, [1, 3, 1]),
        ([4.0, 0.0], [4, 4], 4, [3, 1]),
        ([0.2, 0.2], [1, 9], 1, [0, 1]),
    ],
)
def test_whole_numbers_that_add_up(zeros, sizes, total, whole):
    assert apportion(np.array(zeros), np.array(sizes), total) == whole
