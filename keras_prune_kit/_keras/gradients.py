"""Gradients of a model's own loss, for criteria that need them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit._keras.losses import check_sample
from keras_prune_kit._keras.models import world


class GradientProbe:
    """Averages a function of the loss's gradients over a sample of data.

    Args:
        model: A compiled model on the TensorFlow backend.
        data: `(x, y)`: arrays, or nests of them for several inputs and outputs.
        variables: The variables to differentiate by.

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
        """The mean over batches of `"signed"`, `"absolute"` or `"squared"` gradients.

        Args:
            statistic: One of these three.
            batch_size: Samples in a batch; 1 gives the gradients of single samples.

        Returns:
            One array a variable, of its shape.
        """
        function = {"signed": lambda g: g, "absolute": abs, "squared": lambda g: g * g}
        counters = [v for metric in self._model.metrics for v in metric.variables]
        before = [variable.numpy() for variable in counters]
        sums: list[Any] = [0.0 for _ in self._variables]
        dataset = self._tf.data.Dataset.from_tensor_slices(self._data)
        batches = dataset.batch(batch_size, drop_remainder=True)
        for x, y in batches:
            gradients = self._gradients(x, y)
            sums = [
                total + function[statistic](gradient)
                for total, gradient in zip(sums, gradients, strict=True)
            ]
        # Keras 2 counts every loss it computes towards what `fit` shows.
        for variable, value in zip(counters, before, strict=True):
            variable.assign(value)
        return [np.asarray(total) / len(batches) for total in sums]

    def _take_gradients(self, x: Any, y: Any) -> list[Any]:
        tf = self._tf
        with tf.GradientTape() as tape:
            predicted = self._model(x, training=False)
            loss = self._model.compute_loss(x=x, y=y, y_pred=predicted)
        watched = [self._value_of(variable) for variable in self._variables]
        gradients = tape.gradient(
            loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return [self._widened(tf.convert_to_tensor(item)) for item in gradients]

    def _widened(self, gradient: Any) -> Any:
        """In float32 at least: the square of a small one is 0 in half precision."""
        is_half = gradient.dtype.size < self._tf.float32.size
        return self._tf.cast(gradient, self._tf.float32) if is_half else gradient

    def _value_of(self, variable: Any) -> Any:
        return variable.value if self._is_keras_3 else variable
