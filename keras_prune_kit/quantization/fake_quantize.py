"""Fake quantization of activations with a range that follows the training data."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_prune_kit.quantization.rounding import (
    compact_range,
    round_activation,
)

# Minimum width of a range, and the width for a tensor that was all zeros so far:
# interpreters refuse a tiny scale, and with one an int32 bias can overflow.
_LEAST_RANGE = 1e-5
_RANGE_OF_ZEROS = 1.0


@keras.saving.register_keras_serializable("keras_prune_kit")
class FakeQuantize(keras.layers.Layer):
    """A fake-quant node: rounds a tensor to the 256 levels of its int8 form.

    The range is a moving average of the minimum and maximum of each batch and starts
    at those of the first batch. It is updated in training only, and not if the layer
    is frozen (`trainable = False`); a batch of zeros only leaves it unchanged. Before
    the first training step there is no range, and tensors pass unrounded.

    Args:
        bounds: A fixed range, for activations whose range .tflite prescribes.
            Defaults to `None`, a moving average.
        momentum: Weight of the previous range at each step, 0 to 1. Defaults to 0.95.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        bounds: tuple[float, float] | None = None,
        *,
        momentum: float = 0.95,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bounds = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        self.momentum = momentum
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if self.bounds is None:
            self.low, self.high = (
                self.add_weight(
                    shape=(),
                    initializer="zeros",
                    trainable=False,
                    # Under a distribution strategy each replica sees another batch.
                    aggregation="mean",
                    name=name,
                )
                for name in ("low", "high")
            )
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if self.bounds is not None:
            return round_activation(inputs, *self.bounds)
        if training and self.trainable:
            self._follow(inputs)
            return round_activation(inputs, *self._range())
        rounded = round_activation(inputs, *self._range())
        return tf.where(self.high.value > self.low.value, rounded, inputs)

    def has_range(self) -> bool:
        """Return True if there is a range to round to; see the class docstring."""
        return self.bounds is not None or float(self.high) > float(self.low)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_prunable_weights(self) -> list[Any]:
        """Return no weights: pruning must not touch a range."""
        return []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bounds": self.bounds,
            "momentum": self.momentum,
        }

    def _range(self) -> tuple[Any, Any]:
        """Return the range that the file will have; a placeholder if there is none."""
        low, high = self.low.value, self.high.value
        # `tf.where` computes both of its branches, so even an unused range has a width.
        return compact_range(low, tf.where(high > low, high, low + _LEAST_RANGE))

    def _follow(self, inputs: Any) -> None:
        # The range includes 0, which a zero point can represent exactly.
        low = tf.minimum(tf.reduce_min(inputs), 0.0)
        high = tf.maximum(tf.reduce_max(inputs), 0.0)
        is_known, is_zeros = self.high.value > self.low.value, high <= low
        # With a weight of 1 for the past, zeros change nothing; without a past, the
        # weight is 0 and the first batch sets the range.
        past = tf.where(is_zeros, 1.0, self.momentum) * tf.cast(is_known, "float32")
        high = tf.maximum(high, low + tf.where(is_zeros, _RANGE_OF_ZEROS, _LEAST_RANGE))
        self.low.assign(past * self.low.value + (1 - past) * low)
        self.high.assign(past * self.high.value + (1 - past) * high)


@keras.saving.register_keras_serializable("keras_prune_kit")
class Barrier(keras.layers.Layer):
    """An identity that keeps operators on its float side float in the file.

    The converter quantizes every operator that it finds between two fake-quant nodes.
    It cannot look through a cast to float64, a type that cannot be quantized.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if training:
            return inputs
        # Exact: each float32 is a float64.
        return tf.cast(tf.cast(inputs, tf.float64), tf.float32)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
