"""Gradients on TensorFlow, in either world."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from keras_prune_kit._keras.models import is_tf_keras


def make_gradients(model: Any, variables: list[Any]) -> Callable[..., list[Any]]:
    """Return a function of a batch `(x, y)` that returns the gradients of the loss.

    Args:
        model: A compiled model.
        variables: The variables to differentiate with respect to.
    """
    tf = sys.modules["tensorflow"]
    watched = variables if is_tf_keras(model) else [v.value for v in variables]

    def gradients(x: Any, y: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            # Dropout would make the ranking random.
            predicted = model(x, training=False)
            loss = model.compute_loss(x=x, y=y, y_pred=predicted)
        found = tape.gradient(
            # The default for a weight that the loss does not depend on is `None`.
            loss,
            watched,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # The gradient of an Embedding comes as IndexedSlices.
        return [tf.convert_to_tensor(item) for item in found]

    return tf.function(gradients, reduce_retracing=True)
