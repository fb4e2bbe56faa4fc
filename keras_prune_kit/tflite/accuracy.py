"""Classification accuracy, as Keras computes it."""

from __future__ import annotations

import numpy as np


def accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the fraction of correct predictions.

    Args:
        y_true: Class numbers of shape `(n, ...)` or `(n, ..., 1)`, one-hot rows
            `(n, ..., classes)`, or 0 and 1 for probabilities.
        y_pred: Scores `(n, ..., classes)`, or probabilities `(n, ..., 1)` with a
            threshold of 0.5.

    Returns:
        The accuracy, 0 to 1.

    Raises:
        ValueError: If the shapes of labels and predictions do not match.

    Example:

    >>> accuracy(np.array([1, 0]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    0.5
    """
    if y_pred.ndim == 1:
        y_pred = y_pred[:, np.newaxis]
    positions = y_pred.shape[:-1]
    # By size, as class numbers may have a last axis of 1 or none.
    if y_true.size == y_pred.size // y_pred.shape[-1]:
        y_true = y_true.reshape(positions)
        if y_pred.shape[-1] == 1:
            # Keras counts exactly 0.5 as class 0, too.
            return float(np.mean((y_pred[..., 0] > 0.5) == y_true))
    elif y_true.shape == y_pred.shape:
        y_true = y_true.argmax(-1)
    else:
        raise ValueError(
            f"For accuracy, labels y must have shape {positions} (class numbers) or "
            f"{y_pred.shape} (one-hot). Received: {y_true.shape}."
        )
    return float(np.mean(y_pred.argmax(-1) == y_true))
