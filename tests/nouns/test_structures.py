"""Structures: small arrays beside masks written by hand."""

import tracemalloc

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.structures import (
    COARSE_MAX,
    coarse,
    keep_highest,
    keep_highest_parts,
)
from keras_prune_kit.structures.ranking import nth_lowest


def test_unstructured_removes_the_lowest():
    scores = np.array([[5.0, 1.0, 3.0], [2.0, 6.0, 4.0]])
    mask = kpk.Unstructured().mask(scores, 0.5)
    assert mask.tolist() == [[True, False, False], [False, True, True]]


def test_of_equal_scores_the_first_stays():
    assert kpk.Unstructured().mask(np.ones(4), 0.5).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_one_weight_always_stays():
    assert kpk.Unstructured().mask(np.arange(4.0), 0.99).tolist() == [
        False,
        False,
        False,
        True,
    ]


def test_an_empty_kernel_has_an_empty_mask():
    assert kpk.Unstructured().mask(np.empty((0, 3)), 0.5).shape == (0, 3)


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.8, 0.92, 0.999])
@pytest.mark.parametrize("shape", [(7, 11), (3, 3, 5, 8), (1,), (300, 300)])
def test_unstructured_is_exact(sparsity, shape):
    scores = np.random.default_rng(0).random(shape)
    zeros = np.count_nonzero(~kpk.Unstructured().mask(scores, sparsity))
    assert zeros == min(round(sparsity * scores.size), scores.size - 1)


@pytest.mark.parametrize("kind", ["random", "sorted", "few values", "periodic"])
def test_a_large_array_is_ranked_as_exactly_as_a_small_one(kind):
    n = 200_000
    scores = {
        "random": np.random.default_rng(0).random(n),
        "sorted": np.linspace(0, 1, n),
        "few values": np.random.default_rng(0).integers(0, 3, n).astype(float),
        # Every sample that steps evenly through this one is misled.
        "periodic": np.tile(np.r_[0.0, np.ones(47)], n // 48 + 1)[:n],
    }[kind]
    for zeros in (1, 1000, n // 2, n - 1):
        order = np.lexsort((-np.arange(n), scores))
        expected = np.ones(n, bool)
        expected[order[:zeros]] = False
        assert (keep_highest(scores, zeros) == expected).all()


@pytest.mark.parametrize("zeros", [0, 1, 7, 500, 999])
def test_parts_are_ranked_together(zeros):
    ends = [10, 10, 700]
    scores = np.random.default_rng(0).integers(0, 9, 1000).astype("float32")
    scores[::3] += 1e-3  # Too little to be told apart by coarse ranks.
    rescore = [part.__getitem__ for part in np.split(scores, ends)]
    masks = list(keep_highest_parts(coarse(scores), zeros, ends, rescore))
    assert [mask.size for mask in masks] == [10, 0, 690, 300]
    assert (np.concatenate(masks) == keep_highest(scores, zeros)).all()
    assert np.count_nonzero(~np.concatenate(masks)) == zeros


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("values", [3, 200, 5000, 1 << 30])
def test_ranking_a_large_array_copies_little_of_it(values, seed):
    """Also of few values, of which a sample tells no more than how many there are."""
    scores = np.random.default_rng(seed).integers(0, values, 1 << 22)
    tracemalloc.start()
    threshold = nth_lowest(scores, scores.size * 2 // 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert threshold == np.partition(scores, scores.size * 2 // 3)[scores.size * 2 // 3]
    assert peak < scores.nbytes / 5


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_coarse_ranks_as_the_scores_do(dtype):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=5000) * 10.0 ** rng.integers(-7, 4, 5000)
    ends = [-np.inf, -1e-30, -0.0, 0.0, 1e-30, np.inf]
    scores = np.sort(np.r_[scores, ends].astype(dtype))
    ranks = coarse(scores)
    assert (np.diff(ranks.astype(int)) >= 0).all()
    assert ranks[-1] < COARSE_MAX
    assert (ranks[scores == 0] == coarse(np.zeros(1))).all()
    apart = scores[scores > 1e-3].astype("float64")
    assert np.unique(coarse(apart[np.isfinite(apart)])).size > 1000


@pytest.mark.parametrize("kind", ["random", "equal"])
def test_ranking_takes_little_memory_beside_its_mask(kind):
    n = 8_000_000
    scores = np.random.default_rng(0).random(n, np.float32)
    if kind == "equal":
        scores[:] = 1
    tracemalloc.start()
    mask = keep_highest(scores, n // 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.sum() == n // 2
    assert peak < 1.8 * n


def test_block_removes_whole_blocks():
    scores = np.array([[1.0, 1.0, 9.0, 9.0], [1.0, 1.0, 9.0, 9.0]])
    mask = kpk.Block((2, 2)).mask(scores, 0.5)
    assert mask.tolist() == [[False, False, True, True]] * 2


def test_block_pooling_decides_between_spread_and_peak():
    scores = np.array([[4.0, 4.0, 0.0, 7.0]])
    assert kpk.Block((1, 2), pooling="avg").mask(scores, 0.5)[0, 0]
    assert kpk.Block((1, 2), pooling="max").mask(scores, 0.5)[0, 2]


def test_blocks_at_the_edge_are_smaller_and_average_their_own_weights():
    scores = np.array([[2.0, 2.0, 3.0]])
    assert kpk.Block((1, 2)).mask(scores, 0.5).tolist() == [[False, False, True]]


def test_block_keeps_spatial_positions_apart():
    scores = np.zeros((2, 1, 2, 2))
    scores[1] = 1.0
    mask = kpk.Block((2, 2)).mask(scores, 0.5)
    assert not mask[0].any()
    assert mask[1].all()


def test_n_of_m_keeps_n_along_the_inputs():
    scores = np.array([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])
    mask = kpk.NofM(2, 4).mask(scores, 0.5)
    assert mask.T.tolist() == [[False, False, True, True], [True, True, False, False]]


def test_n_of_m_fills_up_along_the_ramp():
    scores = np.random.default_rng(0).random((16, 6))
    structure = kpk.NofM(2, 4)
    masks = [structure.mask(scores, s) for s in (0.1, 0.3, 0.5)]
    assert [np.count_nonzero(~m) for m in masks] == [10, 29, 48]
    assert (masks[0] >= masks[1]).all()
    assert (masks[1] >= masks[2]).all()


def test_channel_removes_whole_outputs_or_inputs():
    scores = np.array([[1.0, 5.0], [2.0, 9.0]])
    assert kpk.Channel().mask(scores, 0.5).tolist() == [[False, True]] * 2
    mask = kpk.Channel(axis=-2).mask(scores, 0.5)
    assert mask.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize(
    "structure",
    [kpk.Unstructured(), kpk.Block((2, 3)), kpk.NofM(2, 4), kpk.Channel()],
)
def test_zeros_give_their_own_mask_back(structure):
    """What resuming rests on: the mask can be rebuilt from the zeros alone."""
    weights = np.random.default_rng(0).normal(size=(3, 3, 8, 10))
    mask = structure.mask(np.abs(weights), 0.45)
    pruned = weights * mask
    again = structure.mask(np.abs(pruned), structure.sparsity(pruned))
    assert (again == mask).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: kpk.Block((0, 4)), "shape=\\(0, 4\\)"),
        (lambda: kpk.Block(4), "shape=4"),
        (lambda: kpk.Block((1, 4), pooling="sum"), "pooling='sum'"),
        (lambda: kpk.NofM(4, 4), "0 < n < m"),
        (lambda: kpk.NofM(0, 4), "0 < n < m"),
        (lambda: kpk.NofM(2.0, 4), "0 < n < m"),
        (lambda: kpk.Channel(axis=0), "axis=0"),
        (lambda: kpk.Block((1, 8)).check((16, 4), 0.5), "must fit into the kernel"),
        (lambda: kpk.Block((1, 2)).check((16,), 0.5), "must fit into the kernel"),
        (lambda: kpk.NofM(2, 4).check((6, 4), 0.5), "multiple of 4"),
        (lambda: kpk.NofM(2, 4).check((8, 4), 0.8), "final sparsity of 0.5"),
        (lambda: kpk.Channel().check((8,), 0.5), "inputs and outputs"),
    ],
)
def test_bad_values_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_channel_is_zero_only_if_all_of_it_is():
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert kpk.Channel().sparsity(weights) == pytest.approx(1 / 3)


def test_a_block_is_zero_only_if_all_of_it_is():
    weights = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 3.0]])
    assert kpk.Block((1, 2)).sparsity(weights) == 0.5
