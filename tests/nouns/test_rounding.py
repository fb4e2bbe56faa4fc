"""Weights of few bits: literals, numpy's lstsq, and all roundings of a small kernel."""

import itertools

import numpy as np
import pytest
from test_least_squares import problem, statistics_of, with_ones

from keras_prune_kit._tools.symmetric import inverse_factor
from keras_prune_kit.reconstruction import rounding
from keras_prune_kit.reconstruction.rounding import (
    Grid,
    round_to_nearest,
    round_with_compensation,
)
from keras_prune_kit.reconstruction.statistics import GramStatistics, RowStatistics

KINDS = (GramStatistics, RowStatistics)


def column(*values):
    return np.array(values, float)[:, None]


def everywhere(weights):
    return np.ones(weights.shape, bool)


def levels_of(weights, grid):
    """The whole numbers of the grid and the step of each output, by the largest."""
    step = np.abs(weights).max(0) / grid.levels
    step = np.where(step > 0, step, 1)
    return np.rint(weights / step).astype(int), step


def assert_on_grid(weights, grid):
    levels, step = levels_of(weights, grid)
    np.testing.assert_allclose(levels * step, weights, atol=1e-9)
    # Steps of four significant bits.
    fraction, _ = np.frexp(step)
    np.testing.assert_allclose(fraction * 16, np.rint(fraction * 16), atol=1e-9)


def test_levels_are_those_of_a_narrow_symmetric_range():
    assert [Grid(bits).levels for bits in (8, 4, 3, 2)] == [127, 7, 3, 1]
    grid = Grid(3)
    given = grid.round(column(-9, -1.6, -0.4, 0.6, 3), np.array([1.0]))
    np.testing.assert_array_equal(given, column(-3, -2, 0, 1, 3))
    assert not np.signbit(given[2])  # A sign is a bit that files keep.


def test_steps_are_compact_and_begin_with_the_one_that_clips_nothing():
    steps = Grid(3).candidates(np.array([[3.0, 0.0], [-1.0, 0.0]]))
    assert steps[0].tolist() == [1.0, 1.0]  # any step suits zeros
    assert steps[:9, 0].tolist() == [1, 15 / 16, 14 / 16, 13 / 16, 12 / 16] + [
        *(11 / 16, 10 / 16, 9 / 16, 8 / 16)
    ]
    # 3.2 / 3 is above 1, and the next compact step is 1.125.
    assert Grid(3).candidates(column(3.2))[0] == 1.125


def test_steps_are_those_of_weights_after_the_normalization():
    grid = Grid(2, scale=np.array([2.0, 0.5]))
    assert grid.candidates(np.array([[1.0, 1.0]]))[0].tolist() == [1.0, 1.0]
    shared = Grid(2, True, np.array([2.0, 0.5]))
    # 2 and .5 once folded, so one step of 2: 1 and 4 before.
    assert shared.candidates(np.array([[1.0, 1.0]]))[0].tolist() == [1.0, 4.0]


def test_nearest_values_by_hand():
    # 1 and -1 are the outermost of 2 bits; a step of 1 leaves the least.
    given = round_to_nearest(column(1.0, 0.9, -1.1, 0.2), Grid(2))
    np.testing.assert_array_equal(given, column(1, 1, -1, 0))


def test_a_few_large_weights_are_clipped():
    rng = np.random.default_rng(0)
    weights = np.append(rng.normal(size=400), 6.0)[:, None]
    given = round_to_nearest(weights, Grid(2))
    assert given.max() < 3
    assert np.square(given - weights).sum() < np.square(weights).sum() / 2


def test_the_factor_is_that_of_the_inverse():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(9, 5))
    matrix = matrix.T @ matrix
    factor = inverse_factor(matrix)
    np.testing.assert_array_equal(factor, np.triu(factor))
    np.testing.assert_allclose(factor.T @ factor, np.linalg.inv(matrix))
    # Of a singular one: no weight makes up for another.
    np.testing.assert_array_equal(inverse_factor(np.ones((3, 3))), np.eye(3))


def test_twins_share_what_rounding_takes():
    """Two equal inputs: what one weight gains, the other loses."""
    x = np.random.default_rng(0).normal(size=(50, 1)) @ np.ones((1, 2))
    weights = np.array([[3.0], [1.4]])
    statistics = statistics_of(x, x @ weights)
    rounded = round_with_compensation(
        statistics, weights, everywhere(weights), Grid(3), 1e-4
    )
    assert_on_grid(rounded, Grid(3))
    # Only the sum matters, and 4.4 is nearly 5 times 14/16.
    assert rounded.sum() == pytest.approx(5 * 14 / 16)


def test_the_bias_takes_what_is_left():
    """A constant input: its weight rounds to 2, and the bias makes up exactly."""
    x = np.column_stack([np.full(40, 5.0), np.arange(40.0)])
    weights = column(1.3, 3.0, 1.0)
    statistics = statistics_of(x, with_ones(x) @ weights, True)
    rounded = round_with_compensation(
        statistics, weights, everywhere(weights), Grid(3), 1e-6
    )
    np.testing.assert_array_equal(rounded[:2], column(1, 3))
    assert rounded[2, 0] == pytest.approx(1 + 5 * 0.3, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("has_one_step", [False, True])
def test_weights_are_on_the_grid_and_zeros_stay(kind, bits, has_one_step):
    x, t, weights = problem(90, 40, 12)
    mask = np.random.default_rng(1).random(weights.shape) < 0.5
    mask[-1] = True
    mask[:, 3] = False  # with its bias: about to leave
    weights[~mask] = 0
    statistics, grid = statistics_of(x, t, True, kind), Grid(bits, has_one_step)
    rounded = round_with_compensation(statistics, weights, mask, grid)
    assert (rounded[~mask] == 0).all()
    if has_one_step:
        assert_on_grid(rounded[:40].reshape(-1, 1), grid)
    else:
        assert_on_grid(rounded[:40], grid)


def test_a_normalization_leaves_the_steps_compact():
    x, t, weights = problem(90, 20, 6)
    scale = np.random.default_rng(1).random(6) + 0.1
    for has_one_step in (False, True):
        grid = Grid(3, has_one_step, scale)
        rounded = round_with_compensation(
            statistics_of(x, t, True), weights, everywhere(weights), grid
        )
        folded = rounded[:20] * scale
        assert_on_grid(folded.reshape(-1, 1) if has_one_step else folded, grid)


@pytest.mark.parametrize("kind", KINDS)
def test_rounded_weights_are_not_changed_by_rounding_again(kind):
    x, t, weights = problem(90, 10, 4)
    statistics, grid = statistics_of(x, t, True, kind), Grid(4)
    once = round_with_compensation(statistics, weights, everywhere(weights), grid)
    targets = with_ones(x) @ once
    again = round_with_compensation(
        statistics_of(x, targets, True, kind), once, everywhere(once), grid
    )
    np.testing.assert_allclose(again, once, atol=1e-9)


def errors_of(x, t, rounded):
    return np.square(with_ones(x) @ rounded - t).sum(0)


def with_best_bias(x, t, rounded):
    return np.vstack([rounded, (t - x @ rounded).mean(0)])


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_compensated_weights_leave_less_than_the_nearest(bits):
    x, t, weights = problem(300, 64, 16)
    grid, statistics = Grid(bits), statistics_of(x, t, True)
    rounded = round_with_compensation(statistics, weights, everywhere(weights), grid)
    nearest = with_best_bias(x, t, round_to_nearest(weights[:-1], grid))
    assert errors_of(x, t, rounded).sum() < 0.55 * errors_of(x, t, nearest).sum()


def all_roundings(x, t, grid, weights):
    """The least error of all roundings of a column, by all candidates of its step."""
    levels = range(-grid.levels, grid.levels + 1)
    best = np.full(t.shape[1], np.inf)
    choices = np.array([*itertools.product(levels, repeat=x.shape[1])], float).T
    for number, steps in enumerate(grid.candidates(weights).T):
        for step in steps:
            given = with_best_bias(x, t[:, [number]], choices * step)
            errors = np.square(with_ones(x) @ given - t[:, [number]]).sum(0)
            best[number] = min(best[number], errors.min())
    return best


@pytest.mark.parametrize(("bits", "inputs"), [(2, 6), (3, 4)])
def test_errors_are_close_to_the_best_of_all_roundings(bits, inputs):
    ratios, of_nearest = [], []
    for seed in range(8):
        x, t, weights = problem(30, inputs, 2, seed)
        grid, statistics = Grid(bits), statistics_of(x, t, True)
        rounded = round_with_compensation(
            statistics, weights, everywhere(weights), grid, 1e-6
        )
        best = all_roundings(x, t, grid, weights[:-1])
        nearest = with_best_bias(x, t, round_to_nearest(weights[:-1], grid))
        ratios += [*(errors_of(x, t, rounded) / best)]
        of_nearest += [*(errors_of(x, t, nearest) / best)]
    assert min(ratios) >= 1 - 1e-9
    # Half of them are the best there is.
    assert np.median(ratios) < 1.001
    assert np.median(of_nearest) > 1.3


def test_the_order_of_many_rows_is_that_of_one_after_the_other():
    """Parts of the rows are corrected at once; the plain algorithm, row by row."""
    x, t, weights = problem(400, 100, 3)
    statistics, grid = statistics_of(x, t), Grid(4)
    weights = weights[:-1]
    rounded = round_with_compensation(statistics, weights, everywhere(weights), grid)
    steps = np.abs(rounded).max(0) / grid.levels
    hessian = x.T @ x + 0.01 * np.square(x).sum() / 100 * np.eye(100)
    order, left = np.argsort(-np.square(x).sum(0)), weights.copy()
    for place, row in enumerate(order):
        later = order[place:]
        inverse = np.linalg.inv(hessian[np.ix_(later, later)])[:, 0]
        value = grid.round(left[row], steps)
        left[later] -= np.outer(inverse / inverse[0], left[row] - value)
        left[row] = value
    np.testing.assert_allclose(rounded, left, atol=1e-6)


def test_the_outermost_value_is_used_whatever_becomes_of_the_largest_weight(
    monkeypatch,
):
    """Files find the step by it; here all that are tried are far too wide."""
    x, t, weights = problem(90, 10, 4)
    wide = np.full(4, 100.0)
    monkeypatch.setattr(rounding, "_best_steps", lambda *_: wide)
    rounded = round_with_compensation(
        statistics_of(x, t, True), weights, everywhere(weights), Grid(3), 0.0
    )
    assert_on_grid(rounded[:-1], Grid(3))
    nearest = with_best_bias(x, t, round_to_nearest(weights[:-1], Grid(3)))
    np.testing.assert_allclose(rounded, nearest, atol=1e-8)


def test_parts_of_the_outputs_give_what_all_of_them_give(monkeypatch):
    x, t, weights = problem(90, 10, 7)
    arguments = (statistics_of(x, t, True), weights, everywhere(weights), Grid(3))
    whole = round_with_compensation(*arguments)
    monkeypatch.setattr(rounding, "_WEIGHTS_AT_ONCE", 600)  # Two outputs.
    np.testing.assert_allclose(round_with_compensation(*arguments), whole)
