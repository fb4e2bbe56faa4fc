"""Criteria, and a contract that every one of them keeps."""

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.criteria import gradients_needed, inputs_needed, is_criterion

CRITERIA = [kpk.random_scores(3)]
CRITERIA += [item for name in kpk.__all__ if is_criterion(item := getattr(kpk, name))]


def scores_of(criterion, weights):
    """The scores, with gradients or inputs of 0.5 for criteria that look at them."""
    needed = inputs_needed(criterion)
    if needed is not None:
        # They are called with matrices.
        matrix = weights.reshape(len(weights), -1)
        inputs = np.full(len(weights), 0.5)
        inputs = inputs if needed.statistic == "squares" else np.diag(inputs)
        return criterion(matrix, inputs).reshape(weights.shape)
    if gradients_needed(criterion) is not None:
        return criterion(weights, np.full(weights.shape, 0.5))
    return criterion(weights)


def test_every_criterion_is_found():
    assert len(CRITERIA) >= 8
    assert {kpk.magnitude, kpk.movement, kpk.wanda} <= set(CRITERIA)
    assert not is_criterion(kpk.needs_gradients) and not is_criterion(kpk.Block)
    assert not is_criterion(kpk.needs_inputs)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_policy_with_it_can_be_written_down(criterion):
    policy = kpk.PrunePolicy(0.8, criterion=criterion)
    assert kpk.PrunePolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_score_a_weight(criterion):
    assert scores_of(criterion, np.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_is_zero_already_scores_lowest(criterion):
    weights = np.array([0.0, 1e-4, -2.0, 0.0])
    scores = scores_of(criterion, weights)
    assert scores[[0, 3]].max() < scores[[1, 2]].min()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weights_are_not_changed(criterion):
    weights = np.array([-1.0, 2.0])
    scores_of(criterion, weights)
    assert weights.tolist() == [-1.0, 2.0]


def test_magnitude_is_the_absolute_value():
    assert kpk.magnitude(np.array([-3.0, 2.0])).tolist() == [3.0, 2.0]


def test_lamp_is_the_share_in_what_is_left():
    weights = np.array([[2.0, -1.0], [0.0, 3.0]])
    assert np.allclose(kpk.lamp(weights), [[4 / 13, 1 / 14], [0, 1]])


def test_lamp_ranks_a_layer_by_magnitude():
    weights = np.random.default_rng(0).normal(size=(7, 5))
    ranks = [scores.ravel().argsort() for scores in (kpk.lamp(weights), abs(weights))]
    assert (ranks[0] == ranks[1]).all()


def test_lamp_does_not_depend_on_the_scale_of_a_layer():
    weights = np.random.default_rng(0).normal(size=20)
    assert np.allclose(kpk.lamp(weights), kpk.lamp(1e3 * weights))


def test_random_scores_repeat_with_their_seed_only():
    weights = np.ones(100)
    first = kpk.random_scores(1)(weights)
    assert (first == kpk.random_scores(1)(weights)).all()
    assert (first != kpk.random_scores(2)(weights)).any()


@pytest.mark.parametrize("seed", [-1, 0.5, "a", True])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(ValueError, match="seed"):
        kpk.random_scores(seed)


@pytest.mark.parametrize("statistic", ["mean", None])
def test_unknown_gradients_are_named(statistic):
    with pytest.raises(ValueError, match="statistic is one of"):
        kpk.needs_gradients(statistic, 32)(lambda w, g: g)


@pytest.mark.parametrize("statistic", ["signed", None])
def test_unknown_inputs_are_named(statistic):
    with pytest.raises(ValueError, match="statistic is one of"):
        kpk.needs_inputs(statistic)


def test_wanda_is_the_size_of_what_a_weight_adds():
    weights = np.array([[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]])
    squares = np.array([4.0, 100.0, 0.0])
    assert kpk.wanda(weights, squares).tolist() == [[2, 4], [5, 0], [0, 0]]


def test_surgeon_by_hand():
    """The inverse of [[2, 1], [1, 2]] has 2/3 on its diagonal."""
    products = np.array([[2.0, 1.0], [1.0, 2.0]])
    weights = np.array([[2.0, 1.0], [-4.0, 0.0]])
    # Alone in its column, a weight has nothing that makes up for it.
    expected = [[4 * 1.5, 2.0], [16 * 1.5, -1]]
    assert np.allclose(kpk.optimal_brain_surgeon(weights, products), expected)


def test_surgeon_scores_the_error_that_least_squares_leaves():
    rng = np.random.default_rng(0)
    x, weights = (
        rng.normal(size=(20, 3)) @ rng.normal(size=(3, 3)),
        rng.normal(size=(3, 2)),
    )
    weights[1, 1] = 0
    scores = kpk.optimal_brain_surgeon(weights, x.T @ x / len(x))
    for row, column in np.argwhere(weights != 0):
        left = (weights[:, column] != 0) & (np.arange(3) != row)
        # The targets are what the kernel gives now, so that all of its error is new.
        wanted = x @ weights[:, column]
        solved = np.linalg.lstsq(x[:, left], wanted, rcond=None)[0]
        error = np.square(x[:, left] @ solved - wanted).mean()
        assert scores[row, column] == pytest.approx(error, rel=1e-9)


def test_inputs_that_are_always_zero_do_not_matter():
    weights = np.array([[3.0], [0.1]])
    assert kpk.wanda(weights, np.array([0.0, 1.0]))[0] == 0
    assert kpk.optimal_brain_surgeon(weights, np.zeros((2, 2))).tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("criterion", "weights", "inputs", "name"),
    [
        (kpk.wanda, np.ones(3), np.ones(3), "squares"),
        (kpk.wanda, np.ones((3, 2)), np.ones(2), "squares"),
        (kpk.optimal_brain_surgeon, np.ones((3, 2)), np.ones((2, 2)), "products"),
        (kpk.optimal_brain_surgeon, np.ones((3, 2)), np.ones(3), "products"),
    ],
)
def test_shapes_that_do_not_match_are_named(criterion, weights, inputs, name):
    with pytest.raises(ValueError, match=f"weights are a matrix .* and {name} of"):
        criterion(weights, inputs)
