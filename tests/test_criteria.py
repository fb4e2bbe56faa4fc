"""Criteria, and a contract that every one of them keeps."""

import numpy as np
import pytest

import keras_prune_kit as kpk

CRITERIA = [kpk.magnitude, kpk.random_scores(3)]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_score_a_weight(criterion):
    assert criterion(np.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_is_zero_already_scores_lowest(criterion):
    weights = np.array([0.0, 1e-4, -2.0, 0.0])
    scores = criterion(weights)
    assert scores[[0, 3]].max() < scores[[1, 2]].min()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weights_are_not_changed(criterion):
    weights = np.array([-1.0, 2.0])
    criterion(weights)
    assert weights.tolist() == [-1.0, 2.0]


def test_magnitude_is_the_absolute_value():
    assert kpk.magnitude(np.array([-3.0, 2.0])).tolist() == [3.0, 2.0]


def test_random_scores_repeat_with_their_seed_only():
    weights = np.ones(100)
    first = kpk.random_scores(1)(weights)
    assert (first == kpk.random_scores(1)(weights)).all()
    assert (first != kpk.random_scores(2)(weights)).any()


@pytest.mark.parametrize("seed", [-1, 0.5, "a", True])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(ValueError, match="seed"):
        kpk.random_scores(seed)
