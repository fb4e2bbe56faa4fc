"""Least squares for the weights that a mask keeps."""

from __future__ import annotations

import numpy as np

from keras_prune_kit._tools.symmetric import same_masks
from keras_prune_kit.layer_inputs.means import DAMPING, DAMPING_OF_FEW_ROWS
from keras_prune_kit.reconstruction.statistics import Statistics


def solve(
    statistics: Statistics,
    weights: np.ndarray,
    mask: np.ndarray,
    damping: float | None = None,
) -> np.ndarray:
    """Return the weights of a mask that come closest to the outputs.

    Args:
        statistics: The inputs and the outputs that they shall give.
        weights: `(inputs, outputs)`, with the bias as last row if there is one. The
            solution stays close to them in directions that the inputs hardly have.
        mask: True for each weight that is kept, of the same shape.
        damping: The strength of that, as a share of the mean square of the inputs.
            Defaults to 0.01, and to 0.1 if there are fewer rows than inputs.
    """
    if damping is None:
        damping = default_damping(statistics)
    added = statistics.damping(damping)
    solved = np.where(mask, weights, 0.0)
    residual = statistics.residual(solved)
    for kept, columns in same_masks(mask):
        change = statistics.correction(residual[:, columns], kept, added[kept])
        solved[np.ix_(kept, columns)] += change
    return solved


def default_damping(statistics: Statistics) -> float:
    """Return the damping for the number of rows."""
    return DAMPING if has_enough_rows(statistics) else DAMPING_OF_FEW_ROWS


def has_enough_rows(statistics: Statistics) -> bool:
    """Return True if there are at least as many rows as inputs."""
    return statistics.rows >= statistics.inputs
