"""Wrappers that make a layer train as it will compute in int8."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_prune_kit.quantization.fake_quantize import FakeQuantize
from keras_prune_kit.quantization.int8_kernels import scale_channels
from keras_prune_kit.quantization.rounding import round_to_reach


@keras.saving.register_keras_serializable("keras_prune_kit")
class QuantizeOutput(keras.layers.Wrapper):
    """A layer whose output is rounded to the steps of int8.

    Args:
        layer: The layer of the float model.
        output_range: What rounds the output; `None` leaves that to a layer behind.
            Defaults to `None`.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self, layer: Any, output_range: FakeQuantize | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("activity_regularizer", layer.activity_regularizer)
        super().__init__(layer, **kwargs)
        self.output_range = output_range
        self.supports_masking = layer.supports_masking

    @property
    def float_layer(self) -> Any:
        """The layer of the float model, which paths and rules mean."""
        return self.layer

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        build_once(self.output_range, self.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        outputs = self.compute(inputs, bool(training))
        if self.output_range is None:
            return outputs
        return self.output_range(outputs, training=training)

    def compute(self, inputs: Any, training: bool) -> Any:
        """The output, before it is rounded."""
        return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_prunable_weights(self) -> list[Any]:
        """None of its own: the kernels are those of the layer inside."""
        return []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_range": serialize(self.output_range),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        parts = ("layer", "input_range", "output_range", "normalization")
        found = {part: config[part] for part in parts if part in config}
        found = {
            part: value
            and keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )
            for part, value in found.items()
        }
        return cls(**{**config, **found})


@keras.saving.register_keras_serializable("keras_prune_kit")
class QuantizeScale(QuantizeOutput):
    """A layer that only scales and shifts each channel, as one int8 operator.

    That is a normalization that no kernel takes in, or a `Rescaling`. The scale needs
    no rounding: each channel has a step of its own.
    """

    def compute(self, inputs: Any, training: bool) -> Any:
        if training:
            return self.layer(inputs, **self._mode())
        scale, shift = scale_and_shift(self.layer)
        channels = inputs.shape[-1]
        scale = tf.broadcast_to(scale, (channels,))
        shift = tf.broadcast_to(shift, (channels,))
        reach = safe_reach(tf.abs(scale), shift)
        kernel = round_to_reach(scale[None, None], reach, bits=8)
        return scale_channels(inputs, kernel) + shift

    def _mode(self) -> dict[str, bool]:
        is_rescaling = isinstance(self.layer, keras.layers.Rescaling)
        return {} if is_rescaling else {"training": True}


@keras.saving.register_keras_serializable("keras_prune_kit")
class QuantizeAverage(QuantizeOutput):
    """An `AveragePooling1D` that rounds its input where the operator takes it.

    That is after a dimension was added, since .tflite averages over two.

    Args:
        layer: The layer of the float model.
        input_range: What rounds the input.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, layer: Any, input_range: FakeQuantize, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.input_range = input_range

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        build_once(self.input_range, input_shape)

    def compute(self, inputs: Any, training: bool) -> Any:
        axis = 2 if self.layer.data_format == "channels_last" else 3
        outputs = keras.ops.average_pool(
            self.input_range(keras.ops.expand_dims(inputs, axis), training=training),
            (*self.layer.pool_size, 1),
            (*self.layer.strides, 1),
            self.layer.padding,
            self.layer.data_format,
        )
        return keras.ops.squeeze(outputs, axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "input_range": serialize(self.input_range)}


def scale_and_shift(layer: Any) -> tuple[Any, Any]:
    """What a normalization or a `Rescaling` does in inference, as two tensors."""
    if isinstance(layer, keras.layers.Rescaling):
        scale = tf.convert_to_tensor(layer.scale, tf.float32)
        return scale, tf.convert_to_tensor(layer.offset, tf.float32)
    scale = tf.math.rsqrt(layer.moving_variance.value + layer.epsilon)
    scale = scale * layer.gamma.value if layer.scale else scale
    shift = -layer.moving_mean.value * scale
    return scale, shift + layer.beta.value if layer.center else shift


def safe_reach(reach: Any, bias: Any) -> Any:
    """What the outermost levels stand for, at a step that the file can work with.

    A channel of nothing but zeros would have a step of zero. One that is tiny beside
    its bias would overflow that: it is stored in 32 bits, in steps of the kernel's
    times the input's.

    Args:
        reach: A scalar or `(outputs,)`, at least 0.
        bias: `(outputs,)`, or `None`.
    """
    if bias is not None:
        least = 1e-3 * tf.abs(bias)
        least = least if reach.shape.rank else tf.reduce_max(least)
        reach = tf.maximum(reach, least)
    widest = tf.reduce_max(reach)
    return tf.where(reach > 0, reach, tf.where(widest > 0, widest, 1.0))


def build_once(part: Any, input_shape: Any) -> None:
    """Builds a part of a wrapper, if it is there and was not loaded as built."""
    if part is not None and not part.built:
        part.build(input_shape)


def serialize(item: Any) -> Any:
    """A part of a wrapper as plain data; `None` if there is none."""
    return item and keras.saving.serialize_keras_object(item)
