"""Gradients of a model's compiled loss, for criteria that need them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit._keras.losses import check_sample
from keras_prune_kit._keras.models import world


class GradientProbe:
    """Averages of the gradients of the loss over a sample of data.

    Args:
        model: A compiled model on the TensorFlow backend.
        data: `(x, y)`, arrays or nests of arrays for several inputs and outputs.
        variables: The variables to differentiate with respect to.

    Raises:
        ValueError: If the model is not compiled or the data are not `(x, y)`.
    """

    def __init__(self, model: Any, data: Any, variables: Sequence[Any]) -> None:
        check_sample(model, data)
        self._tf = sys.modules["tensorflow"]
        self._model = model
        self._data = data
        self._variables = list(variables)
        self._is_keras_3 = world(model).__name__ == "keras"
        self._gradients = self._tf.function(self._take_gradients, reduce_retracing=True)

    def mean(self, statistic: str, batch_size: int) -> list[np.ndarray]:
        """Return the mean over batches of a function of the gradients.

        Args:
            statistic: `"signed"`, `"absolute"` or `"squared"`.
            batch_size: The number of samples per batch; 1 for per-sample gradients.

        Returns:
            One array per variable, of its shape.
        """
        function = {"signed": lambda g: g, "absolute": abs, "squared": lambda g: g * g}
        counters = [v for metric in self._model.metrics for v in metric.variables]
        before = [variable.numpy() for variable in counters]
        sums: list[Any] = [0.0 for _ in self._variables]
        dataset = self._tf.data.Dataset.from_tensor_slices(self._data)
        # A smaller last batch would count as much in the mean as a full one.
        batches = dataset.batch(batch_size, drop_remainder=True)
        for x, y in batches:
            gradients = self._gradients(x, y)
            sums = [
                total + function[statistic](gradient)
                for total, gradient in zip(sums, gradients, strict=True)
            ]
        # Keras 2 adds every computed loss to the metric that `fit` displays; undo that.
        for variable, value in zip(counters, before, strict=True):
            variable.assign(value)
        return [np.asarray(total) / len(batches) for total in sums]

    def _take_gradients(self, x: Any, y: Any) -> list[Any]:
        tf = self._tf
        with tf.GradientTape() as tape:
            # Dropout would make the ranking random.
            predicted = self._model(x, training=False)
            loss = self._model.compute_loss(x=x, y=y, y_pred=predicted)
        watched = [self._value_of(variable) for variable in self._variables]
        gradients = tape.gradient(
            # The default for a weight that the loss does not depend on is `None`.
            loss,
            watched,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # The gradient of an Embedding comes as IndexedSlices.
        return [self._widened(tf.convert_to_tensor(item)) for item in gradients]

    def _widened(self, gradient: Any) -> Any:
        """Cast to float32 at least: in float16, squares of small gradients are 0."""
        is_half = gradient.dtype.size < self._tf.float32.size
        return self._tf.cast(gradient, self._tf.float32) if is_half else gradient

    def _value_of(self, variable: Any) -> Any:
        return variable.value if self._is_keras_3 else variable
