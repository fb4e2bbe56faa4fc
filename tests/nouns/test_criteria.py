"""Criteria, and a contract that every one of them keeps."""

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.criteria import gradients_needed, is_criterion

CRITERIA = [kpk.random_scores(3)]
CRITERIA += [item for name in kpk.__all__ if is_criterion(item := getattr(kpk, name))]


def scores_of(criterion, weights):
    """The scores, with gradients of 0.5 for criteria that look at them."""
    if gradients_needed(criterion) is None:
        return criterion(weights)
    return criterion(weights, np.full(weights.shape, 0.5))


def test_every_criterion_is_found():
    assert len(CRITERIA) >= 6
    assert {kpk.magnitude, kpk.movement} <= set(CRITERIA)
    assert not is_criterion(kpk.needs_gradients) and not is_criterion(kpk.Block)


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
