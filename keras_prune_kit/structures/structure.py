"""The base class of all structures."""

from __future__ import annotations

import abc

import numpy as np

from keras_prune_kit._tools.checks import is_whole


class Structure(abc.ABC):
    """Base class of structures; see the module `keras_prune_kit.structures`."""

    @abc.abstractmethod
    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        """Return the mask of the weights to keep.

        Args:
            scores: Array `(..., inputs, outputs)`; the highest scores are kept, and of
                equal scores the first ones.
            sparsity: Fraction of weights to prune, at least 0 and below 1.

        Returns:
            A boolean array of the same shape, `False` for a pruned weight.
        """

    @abc.abstractmethod
    def sparsity(self, weights: np.ndarray) -> float:
        """Return the fraction of the structure's units that are all zero, 0 to 1.

        Args:
            weights: Array `(..., inputs, outputs)`.
        """

    @abc.abstractmethod
    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        """Raise a `ValueError` if the structure does not fit a kernel.

        Args:
            shape: Shape of the kernel, `(..., inputs, outputs)`.
            final_sparsity: Sparsity to reach, at least 0 and below 1.
        """


def check_shape(shape: object) -> None:
    """Raise a `TypeError` unless a value is the shape of an array."""
    if not isinstance(shape, list | tuple) or not all(map(is_whole, shape)):
        raise TypeError(
            "shape is a tuple of whole numbers, the sizes of a kernel. "
            f"Received: shape={shape!r}."
        )


def is_count(value: object) -> bool:
    """Return True if a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
