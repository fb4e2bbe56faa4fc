"""The digits that come with the package."""

import numpy as np
import pytest

from keras_prune_kit.digits import load_digits

# Of each digit, 0 to 9, in the test part of the UCI data set.
CLASS_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_shapes_and_types(digits):
    (x_train, y_train), (x_test, y_test) = digits
    assert x_train.shape == (1352, 8, 8, 1)
    assert y_train.shape == (1352,)
    assert x_test.shape == (445, 8, 8, 1)
    assert y_test.shape == (445,)
    assert x_train.dtype == x_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.int64


def test_pixels_are_sixteenths_from_0_to_1(digits):
    (x_train, _), (x_test, _) = digits
    for x in (x_train, x_test):
        assert x.min() == 0.0
        assert x.max() == 1.0
        assert set(np.unique(x * 16)) <= set(range(17))


def test_every_fourth_image_of_each_digit_is_a_test_image(digits):
    (_, y_train), (_, y_test) = digits
    train, test = np.bincount(y_train), np.bincount(y_test)
    np.testing.assert_array_equal(train + test, CLASS_COUNTS)
    np.testing.assert_array_equal(test, np.array(CLASS_COUNTS) // 4)


def test_no_test_image_is_a_training_image(digits):
    (x_train, _), (x_test, _) = digits
    train = {image.tobytes() for image in x_train}
    test = {image.tobytes() for image in x_test}
    assert len(train) == 1352
    assert len(test) == 445
    assert train.isdisjoint(test)


def test_the_first_image_is_the_zero_of_the_uci_file(digits):
    (x_train, y_train), _ = digits
    assert y_train[0] == 0
    np.testing.assert_array_equal(
        x_train[0, :, :, 0] * 16,
        [
            [0, 0, 5, 13, 9, 1, 0, 0],
            [0, 0, 13, 15, 10, 15, 5, 0],
            [0, 3, 15, 2, 0, 11, 8, 0],
            [0, 4, 12, 0, 0, 8, 8, 0],
            [0, 5, 8, 0, 0, 9, 8, 0],
            [0, 4, 11, 0, 1, 12, 7, 0],
            [0, 2, 14, 5, 10, 12, 0, 0],
            [0, 0, 6, 13, 10, 0, 0, 0],
        ],
    )


def test_each_call_gives_arrays_of_its_own(digits):
    (first, _), _ = load_digits()
    first[:] = -1
    (again, _), _ = load_digits()
    np.testing.assert_array_equal(again, digits[0][0])
