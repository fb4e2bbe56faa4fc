"""Criteria that look at gradients of the loss."""

from __future__ import annotations

import numpy as np

from keras_prune_kit._tools.checks import as_array, widened
from keras_prune_kit.criteria.declaring import needs_gradients


def _pair(weights: object, gradients: object) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and gradients as arrays of the same shape, at least float32."""
    kernel, slope = as_array("weights", weights), as_array("gradients", gradients)
    if kernel.shape != slope.shape:
        raise ValueError(
            "weights and gradients must have the same shape. Received: "
            f"{kernel.shape} and {slope.shape}."
        )
    return widened(kernel), widened(slope)


@needs_gradients("absolute", batch_size=32)
def taylor(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `|w * g|`, the first-order change of the loss without them.

    Source: Molchanov et al. 2017, arXiv 1611.06440.

    Args:
        weights: Array of any shape.
        gradients: Mean absolute gradient over batches of 32, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> taylor(np.array([-2.0, 0.5]), np.array([0.1, 3.0])).tolist()
    [0.2, 1.5]
    """
    weights, gradients = _pair(weights, gradients)
    return np.abs(weights) * gradients


@needs_gradients("squared", batch_size=1)
def optimal_brain_damage(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `h * w**2 / 2`, the second-order loss increase without them.

    It assumes a minimum of the loss (LeCun et al. 1990, "Optimal Brain Damage"). The
    second derivative `h` is approximated by the diagonal of the empirical Fisher
    matrix: the mean square of per-sample gradients.

    Args:
        weights: Array of any shape.
        gradients: Mean square of per-sample gradients, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> optimal_brain_damage(np.array([-2.0, 0.5]), np.array([1.0, 8.0])).tolist()
    [2.0, 1.0]
    """
    weights, gradients = _pair(weights, gradients)
    return gradients * np.square(weights) / 2


@needs_gradients("signed", batch_size=32)
def movement(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `-w * g`: those that move towards zero are pruned first.

    Sanh et al. 2020 (arXiv 2005.07683) sum the score over the whole training; here it
    is computed anew at each mask update, so that a run can be resumed from its weights
    only. Use it along a schedule, when fine-tuning on another task than the model was
    trained for; in one shot on a trained model, it says little.

    Args:
        weights: Array of any shape.
        gradients: Mean gradient, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> movement(np.array([-2.0, 0.5]), np.array([1.0, 1.0])).tolist()
    [2.0, -0.5]
    """
    weights, gradients = _pair(weights, gradients)
    scores = -weights * gradients
    # A zero would score 0, more than any weight with a negative score.
    lowest = scores.min(initial=0.0) - 1
    return np.where(weights == 0, lowest, scores)
