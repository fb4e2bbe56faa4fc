"""Targets for distillation: labels mixed with the predictions of a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.operations import ops_of

_NOT_EXACTLY_ONE = 0.02  # The rounding error of a sum of float16 outputs.
_SURE = 1e-7  # Keeps log(p) and log(1 - p) finite: float32 rounds 1 - 1e-8 to 1.


def mix_targets(
    teacher: Any,
    outputs: Any,
    y: Any,
    *,
    weight: float,
    temperature: float,
    are_logits: bool,
) -> Any:
    """Return the weighted mean of labels and a teacher's class probabilities.

    Args:
        teacher: The teacher, whose world has the functions to compute with.
        outputs: Its outputs, of shape `(..., classes)`; a single class is
            that of a binary classifier.
        y: Class indices `(...)` or `(..., 1)`, or probabilities `(..., classes)`.
        weight: The share of the teacher in the target, 0 to 1.
        temperature: The temperature of the teacher's softmax; above 1 softens it.
        are_logits: If True, the outputs are logits, else probabilities.

    Returns:
        A float32 tensor of the shape of `outputs`.
    """
    ops = ops_of(world(teacher))
    outputs = ops.cast(outputs, "float32")
    is_binary = outputs.shape[-1] == 1
    if temperature != 1 and not are_logits:
        sure = ops.clip(outputs, _SURE, 1 - _SURE)
        # Logits again: log p, up to a constant that softmax ignores, or the log odds.
        outputs = ops.log(sure) - (ops.log1p(-sure) if is_binary else 0.0)
        are_logits = True
    if are_logits:
        outputs = (ops.sigmoid if is_binary else ops.softmax)(outputs / temperature)
    return weight * outputs + (1 - weight) * _labels(ops, y, outputs)


def _labels(ops: Any, y: Any, outputs: Any) -> Any:
    """Return class indices or probabilities as probabilities of the outputs' shape."""
    y, classes = ops.convert_to_tensor(y), outputs.shape[-1]
    if len(y.shape) < len(outputs.shape):
        y = y[..., None]
    if y.shape[-1] != classes:
        y = ops.one_hot(ops.cast(y[..., 0], "int32"), classes)
    return ops.cast(y, "float32")


def are_probabilities(rows: np.ndarray) -> bool:
    """Return True if rows of shape `(n, classes)` are probabilities, not logits."""
    rows = np.asarray(rows, np.float32)
    if rows.min() < 0 or rows.max() > 1:
        return False
    # The probability of a single class need not be 1.
    return rows.shape[-1] == 1 or bool(
        np.allclose(rows.sum(-1), 1, atol=_NOT_EXACTLY_ONE)
    )
