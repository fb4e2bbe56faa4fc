"""Targets for distillation: labels mixed with the predictions of a teacher."""

from __future__ import annotations

import sys
from typing import Any

_SURE = 1e-7  # Keeps log(p) and log(1 - p) finite: float32 rounds 1 - 1e-8 to 1.


def mix_targets(
    outputs: Any, y: Any, *, weight: float, temperature: float, are_logits: bool
) -> Any:
    """Return the weighted mean of labels and a teacher's class probabilities.

    Args:
        outputs: Outputs of the teacher, of shape `(..., classes)`; a single class is
            that of a binary classifier.
        y: Class indices `(...)` or `(..., 1)`, or probabilities `(..., classes)`.
        weight: The share of the teacher in the target, 0 to 1.
        temperature: The temperature of the teacher's softmax; above 1 softens it.
        are_logits: If True, the outputs are logits, else probabilities.

    Returns:
        A float32 tensor of the shape of `outputs`.
    """
    tf = sys.modules["tensorflow"]
    outputs = tf.cast(outputs, tf.float32)
    is_binary = outputs.shape[-1] == 1
    if temperature != 1 and not are_logits:
        sure = tf.clip_by_value(outputs, _SURE, 1 - _SURE)
        # Logits again: log p, up to a constant that softmax ignores, or the log odds.
        outputs = tf.math.log(sure) - (tf.math.log1p(-sure) if is_binary else 0.0)
        are_logits = True
    if are_logits:
        outputs = (tf.sigmoid if is_binary else tf.nn.softmax)(outputs / temperature)
    return weight * outputs + (1 - weight) * _labels(tf, y, outputs)


def _labels(tf: Any, y: Any, outputs: Any) -> Any:
    """Return class indices or probabilities as probabilities of the outputs' shape."""
    y, classes = tf.convert_to_tensor(y), outputs.shape[-1]
    if y.shape.rank < outputs.shape.rank:
        y = y[..., None]
    if y.shape[-1] != classes:
        y = tf.one_hot(tf.cast(y[..., 0], tf.int32), classes)
    return tf.cast(y, tf.float32)
