"""Orders of channels: right on literals, and shortest among their neighbours."""

import itertools

import numpy as np
import pytest

from keras_prune_kit.tflite.shrinking.ordering import by_count, by_similarity


def masks(*rows):
    return np.array([[digit == "1" for digit in row] for row in rows])


def length(mask, order):
    return int((mask[order[1:]] != mask[order[:-1]]).sum())


def test_by_count_the_emptiest_come_first_and_equals_stay():
    assert by_count(masks("110", "001", "000", "010")).tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        (("1100", "0011", "1100", "0011"), [0, 2, 1, 3]),
        (("1111", "0001", "0111", "0011"), [1, 3, 2, 0]),
        (("101", "000"), [1, 0]),
        (("1",), [0]),
        (("0", "0", "0"), [0, 1, 2]),
    ],
)
def test_by_similarity_neighbours_share_their_zeros(rows, order):
    assert by_similarity(masks(*rows)).tolist() == order


def test_the_first_path_is_made_shorter():
    # The nearest one left leads away from the last channel, to which it must go back.
    mask = masks("000000", "100000", "001111", "000011", "011000")
    order = by_similarity(mask)
    nearest = [0, 1, 3, 2, 4]
    assert length(mask, order) < length(mask, nearest)


@pytest.mark.parametrize("seed", range(5))
def test_no_reversal_of_a_part_makes_the_path_shorter(seed):
    mask = np.random.default_rng(seed).random((12, 5000)) < 0.3
    order = by_similarity(mask)
    assert sorted(order) == list(range(12))
    for start, end in itertools.combinations(range(13), 2):
        other = order.copy()
        other[start:end] = other[start:end][::-1]
        assert length(mask, other) >= length(mask, order)
