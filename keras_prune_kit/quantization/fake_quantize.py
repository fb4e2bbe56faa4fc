"""Activations: a range that follows the data, and rounding within it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_prune_kit.quantization.rounding import (
    compact_range,
    round_activation,
)

# The least width of a range, and that of a tensor that has been nothing but zeros: tiny
# steps are refused by interpreters, and leave a bias too few bits.
_LEAST_RANGE = 1e-5
_RANGE_OF_ZEROS = 1.0


@keras.saving.register_keras_serializable("keras_prune_kit")
class FakeQuantize(keras.layers.Layer):
    """Rounds a tensor to the 256 steps that its int8 form will have.

    The range is a moving average of each batch's smallest and largest value, that of
    the first batch at first. It follows in training alone, and never if the layer is
    frozen (`trainable = False`); a batch of nothing but zeros leaves it as it is.
    Before the first training step there is none, and tensors pass as they are.

    Args:
        bounds: A range that never moves, for activations that .tflite gives one.
            Defaults to `None`.
        momentum: Weight of the past at each step, 0 to 1. Defaults to 0.95.
        **kwargs: What every Keras layer takes.
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
        """Whether it rounds: not before the first training step."""
        return self.bounds is not None or float(self.high) > float(self.low)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_prunable_weights(self) -> list[Any]:
        """None: a range is nothing to prune."""
        return []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bounds": self.bounds,
            "momentum": self.momentum,
        }

    def _range(self) -> tuple[Any, Any]:
        """The range as the file will have it; any range before there is one."""
        low, high = self.low.value, self.high.value
        return compact_range(low, tf.where(high > low, high, low + _LEAST_RANGE))

    def _follow(self, inputs: Any) -> None:
        low = tf.minimum(tf.reduce_min(inputs), 0.0)
        high = tf.maximum(tf.reduce_max(inputs), 0.0)
        is_known, is_zeros = self.high.value > self.low.value, high <= low
        past = tf.where(is_zeros, 1.0, self.momentum) * tf.cast(is_known, "float32")
        high = tf.maximum(high, low + tf.where(is_zeros, _RANGE_OF_ZEROS, _LEAST_RANGE))
        self.low.assign(past * self.low.value + (1 - past) * low)
        self.high.assign(past * self.high.value + (1 - past) * high)


@keras.saving.register_keras_serializable("keras_prune_kit")
class Barrier(keras.layers.Layer):
    """Keeps float in the file what is on one side of it; gives what it takes.

    The converter would quantize what it sees between two ranges. It does not see
    through types that have no int8.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if training:
            return inputs
        return tf.cast(tf.cast(inputs, tf.float64), tf.float32)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
