"""Labels mixed with what another model makes of the same inputs."""

from __future__ import annotations

import sys
from typing import Any

_SURE = 1e-7  # Nearer to 0 or 1 a probability has no logarithm in float32.


def mix_targets(
    outputs: Any, y: Any, *, weight: float, temperature: float, are_logits: bool
) -> Any:
    """Labels, and the classes' probabilities as a teacher sees them, as one tensor.

    Args:
        outputs: What the teacher gives, of shape `(..., classes)`; one class means
            that of a binary classifier.
        y: Class numbers `(...)` or `(..., 1)`, or probabilities `(..., classes)`.
        weight: How much of the target is the teacher's, 0 to 1.
        temperature: Above 1 softens what the teacher says.
        are_logits: Whether the outputs are logits, not probabilities.

    Returns:
        A float32 tensor of the outputs' shape.
    """
    tf = sys.modules["tensorflow"]
    outputs = tf.cast(outputs, tf.float32)
    is_binary = outputs.shape[-1] == 1
    if temperature != 1 and not are_logits:
        sure = tf.clip_by_value(outputs, _SURE, 1 - _SURE)
        outputs = tf.math.log(sure) - (tf.math.log1p(-sure) if is_binary else 0.0)
        are_logits = True
    if are_logits:
        outputs = (tf.sigmoid if is_binary else tf.nn.softmax)(outputs / temperature)
    return weight * outputs + (1 - weight) * _labels(tf, y, outputs)


def _labels(tf: Any, y: Any, outputs: Any) -> Any:
    """Labels of either form as probabilities of the outputs' shape."""
    y, classes = tf.convert_to_tensor(y), outputs.shape[-1]
    if y.shape.rank < outputs.shape.rank:
        y = y[..., None]
    if y.shape[-1] != classes:
        y = tf.one_hot(tf.cast(y[..., 0], tf.int32), classes)
    return tf.cast(y, tf.float32)
