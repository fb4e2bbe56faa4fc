"""What all structures have in common."""

from __future__ import annotations

import abc

import numpy as np

from keras_prune_kit._tools.checks import is_whole


class Structure(abc.ABC):
    """Base of all structures."""

    @abc.abstractmethod
    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        """Chooses what stays.

        Args:
            scores: Array `(..., inputs, outputs)`; high scores stay. Of equal scores
                the one that comes first stays.
            sparsity: The fraction to remove, at least 0 and below 1.

        Returns:
            A boolean array of the same shape, `False` where a weight goes.
        """

    @abc.abstractmethod
    def sparsity(self, weights: np.ndarray) -> float:
        """The fraction of this structure's units that are entirely zero, 0 to 1."""

    @abc.abstractmethod
    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        """Raises a `ValueError` if kernels of this shape cannot be pruned this way.

        Args:
            shape: Shape of the kernel, `(..., inputs, outputs)`.
            final_sparsity: The sparsity to reach, at least 0 and below 1.
        """


def check_shape(shape: object) -> None:
    """Raises a `TypeError` unless it is the shape of an array."""
    if not isinstance(shape, list | tuple) or not all(map(is_whole, shape)):
        raise TypeError(
            "shape is a tuple of whole numbers, the sizes of a kernel. "
            f"Received: shape={shape!r}."
        )


def is_count(value: object) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
