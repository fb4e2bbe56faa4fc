"""Ties, constants and masks of channels, on literals."""

import numpy as np
from numpy import nan

from keras_prune_kit.channels.constants import mixed_constants
from keras_prune_kit.channels.tied_weights import TiedAxis
from keras_prune_kit.channels.ties import Ties


class Variable:
    shape = (2, 4)


def axis(roots, number=1):
    return TiedAxis(Variable(), number, np.array(roots), tied=None)


def test_ties_hold_through_others():
    ties = Ties()
    a, b, c = ties.fresh(2), ties.fresh(2), ties.fresh(2)
    ties.tie(b, c)
    ties.tie(a, b)
    assert ties.roots(np.array([a, b, c])).tolist() == [[0, 1]] * 3
    assert len(ties) == 6


def test_channels_can_be_tied_within_a_layer():
    ties = Ties()
    ids = ties.fresh(4)
    ties.tie(ids[:2], ids[2:])
    assert ties.roots(ids).tolist() == [0, 1, 0, 1]


def test_the_first_of_a_set_stands_for_it():
    ties = Ties()
    ids = ties.fresh(5)
    ties.tie(ids[[4, 3]], ids[[3, 1]])
    assert ties.roots(ids).tolist() == [0, 1, 2, 1, 1]


KERNEL = np.array([[0.0, 1.0, 2.0], [2.0, 0.0, 0.0]])
BIAS = np.array([0.5, 0.0, -1.0])


def constants(values, folds=True, kernel=KERNEL, axes=(0, 1)):
    return mixed_constants(kernel, axes, np.array(values), BIAS, folds).tolist()


def test_constants_are_those_of_all_that_is_read():
    np.testing.assert_equal(constants([nan, 3.0]), [6.5, nan, nan])
    np.testing.assert_equal(constants([nan, nan]), [nan, nan, nan])
    assert constants([1.0, 3.0]) == [6.5, 1.0, 1.0]


def test_at_padded_borders_only_zeros_count():
    np.testing.assert_equal(constants([nan, 3.0], folds=False), [nan, nan, nan])
    np.testing.assert_equal(constants([nan, 0.0], folds=False), [0.5, nan, nan])
    assert constants([0.0, 0.0], folds=False) == [0.5, 0.0, -1.0]


def test_a_window_adds_at_each_place():
    kernel = np.stack([KERNEL, KERNEL])
    assert constants([1.0, 3.0], kernel=kernel, axes=(1, 2)) == [12.5, 2.0, 3.0]


def test_a_transposed_kernel_has_inputs_last():
    assert constants([1.0, 3.0], kernel=KERNEL.T, axes=(1, 0)) == [6.5, 1.0, 1.0]


def test_infinity_is_no_constant():
    np.testing.assert_equal(constants([np.inf, 3.0]), [6.5, nan, nan])


def test_without_inputs_a_filter_of_zeros_is_its_bias():
    kernel = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_equal(
        constants([nan, nan], kernel=kernel, axes=(None, 1)), [0.5, nan, -1.0]
    )


def test_a_mask_covers_all_places_of_a_channel():
    """Channels 7 and 9, each twice, as two gates have them."""
    mask = axis([7, 9, 7, 9]).mask(np.array([9, 30]))
    assert mask.tolist() == [[True, False, True, False]] * 2
    rows = TiedAxis(Variable(), 0, np.array([7, 9]), tied=None).mask(np.array([7]))
    assert rows.tolist() == [[False] * 4, [True] * 4]


def test_means_are_those_of_a_channel():
    values = np.array([[1.0, 2.0, 5.0, 8.0], [3.0, 4.0, 7.0, 10.0]])
    means = axis([7, 9, 7, 9]).means(values, np.array([7, 9]))
    assert means.tolist() == [4.0, 6.0]
    # Of some channels, and of one that the weight does not have.
    means = axis([7, 9, 7, 11]).means(values, np.array([9, 10, 11]))
    assert means.tolist() == [3.0, 0.0, 9.0]
