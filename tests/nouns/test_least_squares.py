"""What a mask keeps is solved exactly: literals, numpy's lstsq, and all masks."""

import itertools

import numpy as np
import pytest

from keras_prune_kit._tools.symmetric import same_masks
from keras_prune_kit.reconstruction.obs import prune_in_rounds, solve_and_score
from keras_prune_kit.reconstruction.solving import solve
from keras_prune_kit.reconstruction.statistics import GramStatistics, RowStatistics

KINDS = (GramStatistics, RowStatistics)


def statistics_of(x, t, has_bias=False, kind=GramStatistics, parts=1):
    found = kind(x.shape[1], t.shape[1], has_bias)
    for rows, targets in zip(
        np.array_split(x, parts), np.array_split(t, parts), strict=True
    ):
        found.add(rows, targets)
    return found


def problem(rows, inputs, outputs, seed=0):
    """Correlated inputs with a mean, and the outputs of a dense kernel with a bias."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, inputs)) @ rng.normal(size=(inputs, inputs)) + 1
    weights = rng.normal(size=(inputs + 1, outputs))
    return x, x @ weights[:-1] + weights[-1], weights


def with_ones(x):
    return np.hstack([x, np.ones((len(x), 1))])


def masked_lstsq(x, t, mask):
    """Column by column, by numpy; no damping."""
    found = np.zeros(mask.shape)
    for column in range(mask.shape[1]):
        kept = mask[:, column]
        found[kept, column] = np.linalg.lstsq(x[:, kept], t[:, column], rcond=None)[0]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_two_inputs_by_hand(kind):
    # Where the second input equals the first, its weight moves over.
    x = np.array([[1.0, 1.0], [2.0, 2.0]])
    statistics = statistics_of(x, x @ [[1.0], [3.0]], kind=kind)
    solved = solve(
        statistics, np.array([[1.0], [3.0]]), np.array([[True], [False]]), 0.0
    )
    np.testing.assert_allclose(solved, [[4.0], [0.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_the_bias_takes_over_a_constant_input(kind):
    x = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    weights = np.array([[2.0], [3.0], [1.0]])
    statistics = statistics_of(x, with_ones(x) @ weights, True, kind)
    mask = np.array([[True], [False], [True]])
    np.testing.assert_allclose(solve(statistics, weights, mask, 0.0), [[2], [0], [16]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_solution_is_that_of_lstsq(kind, has_bias):
    x, t, weights = problem(60, 12, 7)
    mask = np.random.default_rng(1).random((12, 7)) < 0.4
    if has_bias:
        mask = np.vstack([mask, np.ones((1, 7), bool)])
    else:
        weights = weights[:-1]
    statistics = statistics_of(x, t, has_bias, kind, parts=4)
    solved = solve(statistics, weights, mask, 0.0)
    rows = with_ones(x) if has_bias else x
    np.testing.assert_allclose(solved, masked_lstsq(rows, t, mask), atol=1e-8)
    error = np.square(rows @ solved - t).sum()
    assert statistics.error(solved) == pytest.approx(error, rel=1e-8)
    assert statistics.spread == pytest.approx(np.square(t - t.mean(0)).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_damping_is_lstsq_with_rows_that_hold_the_weights_back(kind):
    """`|Xd - r|^2 + s|d|^2`, with s relative to the mean square of the inputs."""
    x, t, weights = problem(5, 12, 3)
    weights = weights[:-1]
    mask = np.random.default_rng(1).random((12, 3)) < 0.7
    start = np.where(mask, weights, 0)
    strength = 0.1 * np.square(x).sum() / 12
    rows = np.vstack([x, np.sqrt(strength) * np.eye(12)])
    targets = np.vstack([t - x @ start, np.zeros((12, 3))])
    expected = start + masked_lstsq(rows, targets, mask)
    solved = solve(statistics_of(x, t, kind=kind), weights, mask)
    np.testing.assert_allclose(solved, expected, atol=1e-8)


@pytest.mark.parametrize("has_bias", [True, False])
def test_rows_and_products_give_the_same(has_bias):
    x, t, weights = problem(6, 20, 4)
    weights = weights if has_bias else weights[:-1]
    mask = np.random.default_rng(2).random(weights.shape) < 0.8
    mask[20:] = True
    by_products, by_rows = (
        solve(statistics_of(x, t, has_bias, kind, 2), weights, mask) for kind in KINDS
    )
    np.testing.assert_allclose(by_rows, by_products, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weight_of_a_dead_input_stays_as_it_was(kind):
    x, t, weights = problem(40, 4, 2)
    x[:, 2] = 0
    mask = np.ones((5, 2), bool)
    mask[0] = False
    solved = solve(statistics_of(x, t, True, kind), weights, mask)
    np.testing.assert_allclose(solved[2], weights[2])
    assert (solved[0] == 0).all()


def test_outputs_that_do_not_vary_have_no_spread():
    x = np.full((1000, 3), 0.1)
    assert statistics_of(x, x @ [[0.3], [0.7], [0.1]], True).spread == 0


def test_damping_does_not_hold_the_bias_back():
    """Pixels of 0 to 255 outweigh the 1 of the bias by far."""
    rng = np.random.default_rng(0)
    x = 255 * rng.random((200, 3))
    weights = np.vstack([rng.normal(size=(3, 1)), [[1.0]]])
    mask = np.array([[True], [True], [False], [True]])
    statistics = statistics_of(x, with_ones(x) @ weights, True)
    solved = solve(statistics, weights, mask)
    exact = masked_lstsq(with_ones(x), with_ones(x) @ weights, mask)
    np.testing.assert_allclose(solved[-1], exact[-1], rtol=0.02)


def test_columns_with_equal_masks_are_found_together():
    mask = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [1, 0, 1, 1]], bool)
    found = {tuple(columns): tuple(kept) for kept, columns in same_masks(mask)}
    # The empty column has nothing to solve.
    assert found == {(0, 2): (0, 2), (3,): (1, 2)}


def test_all_masks_of_a_small_kernel_are_solved_as_lstsq_does():
    x, t, weights = problem(30, 6, 2)
    weights = weights[:-1]
    statistics = statistics_of(x, t)
    for bits in itertools.product([False, True], repeat=6):
        mask = np.array([bits, bits[::-1]]).T
        expected = masked_lstsq(x, t, mask)
        np.testing.assert_allclose(
            solve(statistics, weights, mask, 0.0), expected, atol=1e-8
        )


def best_errors(x, t):
    """The least error of all masks of a kernel, by the number of weights kept."""
    inputs, outputs = x.shape[1], t.shape[1]
    masks = [np.array(bits) for bits in itertools.product([False, True], repeat=inputs)]
    best = np.full((outputs, inputs + 1), np.inf)
    for mask in masks:
        solved = np.linalg.lstsq(x[:, mask], t, rcond=None)[0]
        errors = np.square(x[:, mask] @ solved - t).sum(0)
        best[:, mask.sum()] = np.minimum(best[:, mask.sum()], errors)
    total = np.full(inputs * outputs + 1, np.inf)
    for counts in itertools.product(range(inputs + 1), repeat=outputs):
        error = sum(best[i, count] for i, count in enumerate(counts))
        total[sum(counts)] = min(total[sum(counts)], error)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_surgeon_removes_the_one_weight_that_all_masks_say_is_least(seed):
    x, t, weights = problem(30, 6, 2, seed)
    t = t - t.mean(0)
    weights = np.linalg.lstsq(x, t, rcond=None)[0]
    statistics = statistics_of(x, t)
    solved, mask = prune_in_rounds(statistics, weights, 11, 1, damping=0.0)
    assert mask.sum() == 11
    assert statistics.error(solved) == pytest.approx(best_errors(x, t)[11], rel=1e-6)


def test_surgeon_comes_close_to_the_best_of_all_masks():
    surgeon, magnitude = [], []
    for seed in range(20):
        x, t, _ = problem(30, 6, 2, seed)
        t = t - t.mean(0)
        weights = np.linalg.lstsq(x, t, rcond=None)[0]
        statistics, best = statistics_of(x, t), best_errors(x, t)[6]
        solved, mask = prune_in_rounds(statistics, weights, 6, 6, damping=0.0)
        assert mask.sum() == 6
        surgeon.append(statistics.error(solved) / best)
        largest = np.abs(weights) >= np.sort(np.abs(weights).ravel())[6]
        by_size = solve(statistics, weights, largest, 0.0)
        magnitude.append(statistics.error(by_size) / best)
    assert min(surgeon) >= 1 - 1e-9
    assert np.mean(surgeon) < 1.2 < np.mean(magnitude)


def test_saliency_is_the_error_that_a_removal_adds():
    x, t, weights = problem(30, 6, 2)
    statistics = statistics_of(x, t, True)
    mask = np.ones((7, 2), bool)
    mask[1, 0] = False
    solved, scores = solve_and_score(statistics, weights, mask, 0.0)
    np.testing.assert_allclose(solved, solve(statistics, weights, mask, 0.0))
    assert scores[1, 0] == -1
    for row in (0, 3):
        without = mask.copy()
        without[row, 0] = False
        after = solve(statistics, weights, without, 0.0)
        added = statistics.error(after) - statistics.error(solved)
        assert scores[row, 0] == pytest.approx(added, rel=1e-6)


def test_surgeon_has_no_more_rounds_than_weights_to_remove():
    x, t, weights = problem(40, 6, 3)
    statistics = statistics_of(x, t, True)
    once, often = (prune_in_rounds(statistics, weights, 4, n) for n in (14, 10**12))
    np.testing.assert_array_equal(once[1], often[1])


def test_surgeon_revives_no_zero():
    x, t, weights = problem(40, 6, 3)
    weights[:4] = 0
    solved, mask = prune_in_rounds(statistics_of(x, t, True), weights, 17, 3)
    np.testing.assert_array_equal(solved[:6] != 0, weights[:6] != 0)
    assert mask[:6].sum() == 6


def test_surgeon_keeps_zeros_and_the_bias():
    x, t, weights = problem(40, 6, 3)
    weights[2] = 0
    solved, mask = prune_in_rounds(statistics_of(x, t, True), weights, 4, 3)
    assert mask[:6].sum() == 4 and mask[6].all()
    assert not mask[2].any() and (solved[~mask] == 0).all()
