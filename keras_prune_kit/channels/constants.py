"""Channels that are constant: the same value at every place of every input.

A filter of zeros gives its bias, whatever comes in; after an activation, that is still
a constant. A channel that is constant can leave the model without any change of the
outputs if what it contributes moves into the next bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras


def mixed_constants(
    kernel: np.ndarray,
    axes: tuple[int | None, int],
    values: np.ndarray,
    bias: np.ndarray,
    folds: bool,
) -> np.ndarray:
    """Return the constants among the outputs of a kernel, before its activation.

    Args:
        kernel: The kernel.
        axes: Its axes of input and output channels; no input axis if all inputs vary.
        values: The input channels: constants, or NaN.
        bias: The bias, `(outputs,)`.
        folds: If True, constant inputs make constant outputs; else only zeros do, as at
            padded borders.

    Returns:
        One value per output channel, NaN where it is not constant.

    Example:

    >>> kernel = np.array([[0.0, 1.0], [2.0, 0.0]])
    >>> values = np.array([np.nan, 3.0])
    >>> mixed_constants(kernel, (0, 1), values, np.zeros(2), True).tolist()
    [6.0, nan]
    """
    in_axis, out_axis = axes
    if in_axis is None:
        moved = np.moveaxis(kernel, out_axis, -1).reshape(-1, kernel.shape[out_axis])
        return np.where((moved == 0).all(0), bias, np.nan)
    moved = np.moveaxis(kernel, (in_axis, out_axis), (-2, -1))
    rows = moved.reshape(-1, *moved.shape[-2:])
    is_known = np.isfinite(values) if folds else values == 0
    varies = (rows[:, ~is_known] != 0).any((0, 1))
    known = np.where(is_known, values, 0.0)
    totals = known @ rows.sum(0, dtype=np.float64)
    return np.where(varies, np.nan, bias + totals)


def activated(activation: Any, values: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the values after an elementwise activation.

    Args:
        activation: A function of a tensor; `None` for none.
        values: Constants, or NaN.
        dtype: The dtype of the tensor that it takes.
    """
    if activation is None:
        return values
    applied = _keras.applied_to(activation, np.nan_to_num(values)[None].astype(dtype))
    return np.where(np.isnan(values), np.nan, applied[0])
