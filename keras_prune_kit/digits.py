"""A small data set of handwritten digits that is part of the package."""

from importlib import resources

import numpy as np

# Every fourth image of a digit is a test image.
TEST_STRIDE = 4
MAX_PIXEL = 16


def load_digits() -> tuple[
    tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]
]:
    """Load 1,797 handwritten digits of 8x8 pixels, split into training and test data.

    Use it to try the package without a download: a small convolutional network learns
    it in seconds. The result has the form of `keras.datasets.mnist.load_data()`.

    The split is fixed: of each digit, every fourth image in the order of the file is a
    test image. Both parts have the same proportions of digits and the same 13 writers,
    so test accuracy does not show how well a model reads unseen handwriting.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, with 1,352 training and 445 test images.
        Images are `float32` of shape `(n, 8, 8, 1)`, 0 (paper) to 1 (ink); labels are
        `int64` of shape `(n,)`, 0 to 9.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = load_digits()
    >>> x_train.shape, x_test.shape
    ((1352, 8, 8, 1), (445, 8, 8, 1))

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49 (CC BY 4.0).
    """
    path = resources.files("keras_prune_kit") / "data" / "digits.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    x = (images / np.float32(MAX_PIXEL)).astype(np.float32)[..., np.newaxis]
    y = labels.astype(np.int64)
    test = _every_nth_of_each_class(y, TEST_STRIDE)
    return (x[~test], y[~test]), (x[test], y[test])


def _every_nth_of_each_class(labels: np.ndarray, n: int) -> np.ndarray:
    """Return a mask of each n-th occurrence of every label, of shape `labels.shape`."""
    marked = np.zeros(labels.shape, bool)
    for label in np.unique(labels):
        marked[np.flatnonzero(labels == label)[n - 1 :: n]] = True
    return marked
