"""Layer wrappers for quantization-aware training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_prune_kit.quantization.fake_quantize import FakeQuantize
from keras_prune_kit.quantization.int8_kernels import scale_channels
from keras_prune_kit.quantization.rounding import round_to_reach


@keras.saving.register_keras_serializable("keras_prune_kit")
class QuantizeOutput(keras.layers.Wrapper):
    """A layer with a fake-quantized output.

    Args:
        layer: The layer of the float model.
        output_range: Fake-quant layer of the output. Defaults to `None`, an output
            that is not rounded here.
        **kwargs: Passed to `keras.layers.Wrapper`.
    """

    def __init__(
        self, layer: Any, output_range: FakeQuantize | None = None, **kwargs: Any
    ) -> None:
        # Keras applies it to called layers, but `QuantizeKernel` never calls its own.
        kwargs.setdefault("activity_regularizer", layer.activity_regularizer)
        super().__init__(layer, **kwargs)
        self.output_range = output_range
        self.supports_masking = layer.supports_masking

    @property
    def float_layer(self) -> Any:
        """The layer of the float model, to which paths and rules refer."""
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
        """Return the output before it is rounded."""
        return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_prunable_weights(self) -> list[Any]:
        """Return no weights: the kernels belong to the inner layer."""
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

    The layer is a normalization that is not folded into a kernel, or a `Rescaling`.
    Training does not round the scale: per channel it is exact in 8 bits.
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
    """An `AveragePooling1D` that rounds the direct input of its .tflite operator.

    .tflite has only 2D pooling, so the fake-quant follows the added dimension.

    Args:
        layer: The layer of the float model.
        input_range: Fake-quant layer of the input.
        **kwargs: Passed to `QuantizeOutput`.
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
    """Return the scale and shift of a normalization or `Rescaling` in inference."""
    if isinstance(layer, keras.layers.Rescaling):
        scale = tf.convert_to_tensor(layer.scale, tf.float32)
        return scale, tf.convert_to_tensor(layer.offset, tf.float32)
    scale = tf.math.rsqrt(layer.moving_variance.value + layer.epsilon)
    scale = scale * layer.gamma.value if layer.scale else scale
    shift = -layer.moving_mean.value * scale
    return scale, shift + layer.beta.value if layer.center else shift


def safe_reach(reach: Any, bias: Any) -> Any:
    """Enlarge the magnitude of the outermost level to one that the file can use.

    A channel of zeros would have a step size of zero. A step size that is tiny relative
    to the bias would overflow it: the file stores the bias as int32, with the kernel's
    scale times the input's.

    Args:
        reach: Magnitude of the outermost level, at least 0: a scalar or `(outputs,)`.
        bias: `(outputs,)`, or `None`.
    """
    if bias is not None:
        # At 8 bits the bias is then 127,000 steps of the kernel at most, which fits
        # into int32 for any scale of the input above 6e-5.
        least = 1e-3 * tf.abs(bias)
        # A single scale has to do for the largest bias.
        least = least if reach.shape.rank else tf.reduce_max(least)
        reach = tf.maximum(reach, least)
    widest = tf.reduce_max(reach)
    return tf.where(reach > 0, reach, tf.where(widest > 0, widest, 1.0))


def build_once(part: Any, input_shape: Any) -> None:
    """Build a part of a wrapper, unless it is `None` or was loaded as built."""
    if part is not None and not part.built:
        part.build(input_shape)


def serialize(item: Any) -> Any:
    """Return the config of a part of a wrapper; `None` for `None`."""
    return item and keras.saving.serialize_keras_object(item)
