"""The computation of each layer with kernels, in operators that .tflite has in int8."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_prune_kit import _keras


@dataclass(frozen=True)
class Stage:
    """One kernel of a layer and the operator that applies it.

    Attributes:
        attribute: Name of the layer's kernel attribute.
        outputs_last: Maps `(layer, kernel)` to the kernel in the layout
            `(..., outputs)`, in which it is rounded.
        apply: Maps `(layer, x, kernel, bias)` to the output, with the kernel in that
            layout.
        as_stored: Maps `(kernel, shape)` back to the layout of the layer.
        is_per_channel: True if each output channel has a scale. The converter cannot
            carry per-channel scales through a transposed kernel.
        has_int4: True if .tflite can compute with the kernel in 4 bits.
        fuses: True if the converter fuses a following activation into the operator.
    """

    attribute: str
    outputs_last: Callable[[Any, Any], Any]
    apply: Callable[[Any, Any, Any, Any], Any]
    as_stored: Callable[[Any, Any], Any] = tf.reshape
    is_per_channel: bool = True
    has_int4: bool = True
    fuses: bool = True


def stages_of(layer: Any) -> tuple[Stage, ...]:
    """Return the stages of a layer; empty if its class is not supported."""
    # By exact class, as a subclass may compute something else.
    return _STAGES.get(type(layer), ())


def scale_channels(x: Any, scale: Any) -> Any:
    """Compute `x * scale` as a depthwise convolution, which has per-channel scales.

    Args:
        x: A tensor `(batch, ..., channels)` of rank 2 to 4.
        scale: A tensor `(1, 1, channels)`.
    """
    rank = x.shape.rank
    for _ in range(4 - rank):
        x = tf.expand_dims(x, 1)
    # The converter carries per-channel scales through a reshape, not an added axis.
    scale = tf.reshape(scale, (1, 1, -1, 1))
    x = tf.nn.depthwise_conv2d(x, scale, (1, 1, 1, 1), "VALID")
    return tf.squeeze(x, list(range(1, 5 - rank))) if rank < 4 else x


def einsum_sizes(layer: Any) -> tuple[int, int] | None:
    """Count the input axes and the output axes of an `EinsumDense` kernel.

    Returns:
        Both counts, or `None` if the equation is not a matrix product over the last
        axes.
    """
    operands, _, result = layer.equation.replace(" ", "").partition("->")
    data, _, kernel = operands.partition(",")
    inputs = "".join(axis for axis in kernel if axis not in result)
    outputs = kernel[len(inputs) :]
    is_product = (
        kernel == inputs + outputs
        and data.endswith(inputs)
        and result == data.removesuffix(inputs) + outputs
        and (layer.bias is None or len(layer.bias.shape) <= len(outputs))
    )
    return (len(inputs), len(outputs)) if is_product and inputs and outputs else None


def _biased(y: Any, bias: Any) -> Any:
    return y if bias is None else y + bias


def _dense(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    if x.shape.rank == 2:
        return _biased(tf.matmul(x, kernel), bias)
    # A batched `matmul` computes shapes at run time, which .tflite cannot do in int8.
    # Axes by name: the gradient of an ellipsis takes a hundred times as long.
    kept = string.ascii_uppercase[: x.shape.rank - 1]
    return _biased(tf.einsum(f"{kept}i,io->{kept}o", x, kernel), bias)


def _einsum(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    inputs, outputs = einsum_sizes(layer) or (1, 1)
    sizes = tuple(layer.kernel.shape[inputs:])
    if bias is not None:
        # An EinsumDense bias may lack some of the output axes.
        bias = tf.reshape(tf.broadcast_to(bias, sizes), [-1])
    x = x if inputs == 1 else _reshape_last(x, inputs, kernel.shape[:1])
    y = _dense(layer, x, kernel, bias)
    return y if outputs == 1 else _reshape_last(y, 1, sizes)


def _reshape_last(x: Any, count: int, sizes: Any) -> Any:
    """Reshape the last axes; to a constant shape if only the batch size is unknown."""
    kept = x.shape[1:-count].as_list()
    if None in kept:
        return tf.reshape(x, tf.concat([tf.shape(x)[:-count], sizes], 0))
    return tf.reshape(x, (-1, *kept, *sizes))


def _conv(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    y = _conv_2d(x, kernel, layer.strides, layer.padding, layer.dilation_rate)
    return _biased(y, bias)


def _conv_1d(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    padding = layer.padding
    if padding == "causal":
        # Causal padding is all on the left, so that no output sees a later input.
        before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        x, padding = tf.pad(x, [[0, 0], [before, 0], [0, 0]]), "valid"
    strides, dilation = (1, *layer.strides), (1, *layer.dilation_rate)
    y = _conv_2d(tf.expand_dims(x, 1), kernel, strides, padding, dilation)
    return tf.squeeze(_biased(y, bias), 1)


def _conv_2d(x: Any, kernel: Any, strides: Any, padding: str, dilation: Any) -> Any:
    if max(dilation) == 1 or not _keras.is_exporting():
        return keras.ops.conv(x, kernel, strides, padding, dilation_rate=dilation)
    # Keras computes a dilated convolution with three operators, because the single one
    # has no gradient on a CPU. The file needs no gradient.
    return tf.nn.conv2d(
        x,
        kernel,
        strides,
        "SAME" if padding == "same" else "VALID",
        dilations=dilation,
    )


def _conv_transpose(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    y = keras.ops.conv_transpose(
        x,
        _swap_last(layer, kernel),
        strides=layer.strides,
        padding=layer.padding,
        output_padding=layer.output_padding,
        dilation_rate=layer.dilation_rate,
    )
    return _biased(y, bias)


def _depthwise(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    kernel = _split_last(layer, kernel)
    y = _depthwise_2d(x, kernel, layer.strides, layer.padding, layer.dilation_rate)
    return _biased(y, bias)


def _depthwise_1d(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    kernel = _split_last(layer, kernel)
    # TensorFlow's depthwise operator needs equal strides; on an axis of size 1 a
    # stride has no effect.
    strides, dilation = layer.strides * 2, (1, *layer.dilation_rate)
    y = _depthwise_2d(tf.expand_dims(x, 1), kernel, strides, layer.padding, dilation)
    return tf.squeeze(_biased(y, bias), 1)


def _depthwise_2d(
    x: Any, kernel: Any, strides: Any, padding: str, dilation: Any
) -> Any:
    if max(dilation) == 1 or not _keras.is_exporting():
        return keras.ops.depthwise_conv(
            x, kernel, strides, padding, dilation_rate=dilation
        )
    # A single operator here too. TensorFlow can run it dilated on few devices, but an
    # export only traces it.
    return tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=kernel,
        strides=(1, *strides, 1),
        padding=padding.upper(),
        dilations=(1, *dilation, 1),
    )


def _pointwise(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    return _biased(_conv_2d(x, kernel, (1, 1), "valid", (1, 1)), bias)


def _pointwise_1d(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    return tf.squeeze(_pointwise(layer, tf.expand_dims(x, 1), kernel, bias), 1)


def _split_last(layer: Any, kernel: Any) -> Any:
    multiplier = layer.depth_multiplier
    return tf.reshape(kernel, (*kernel.shape[:-1], -1, multiplier))


def _as_it_is(layer: Any, kernel: Any) -> Any:
    return kernel


def _as_matrix(layer: Any, kernel: Any) -> Any:
    inputs, _ = einsum_sizes(layer) or (1, 1)
    return tf.reshape(kernel, (math.prod(kernel.shape[:inputs]), -1))


def _one_row(layer: Any, kernel: Any) -> Any:
    return kernel[None]


def _merge_last(layer: Any, kernel: Any) -> Any:
    return tf.reshape(kernel, (*kernel.shape[:-2], math.prod(kernel.shape[-2:])))


def _merge_last_of_row(layer: Any, kernel: Any) -> Any:
    return _merge_last(layer, kernel)[None]


# A transposed convolution has outputs before inputs in Keras. Swapping is its own
# inverse.
def _swap_last(layer: Any, kernel: Any) -> Any:
    return tf.transpose(kernel, (0, 1, 3, 2))


_layers = keras.layers
# One scale where the converter transposes the kernel; per channel elsewhere.
_STAGES: dict[type, tuple[Stage, ...]] = {
    _layers.Dense: (Stage("kernel", _as_it_is, _dense, is_per_channel=False),),
    _layers.EinsumDense: (Stage("kernel", _as_matrix, _einsum, is_per_channel=False),),
    _layers.Conv1D: (Stage("kernel", _one_row, _conv_1d),),
    _layers.Conv2D: (Stage("kernel", _as_it_is, _conv),),
    _layers.Conv2DTranspose: (
        Stage(
            "kernel",
            _swap_last,
            _conv_transpose,
            as_stored=lambda kernel, _: _swap_last(None, kernel),
            is_per_channel=False,
            has_int4=False,
            fuses=False,
        ),
    ),
    _layers.DepthwiseConv1D: (Stage("kernel", _merge_last_of_row, _depthwise_1d),),
    _layers.DepthwiseConv2D: (Stage("kernel", _merge_last, _depthwise),),
    _layers.SeparableConv1D: (
        Stage("depthwise_kernel", _merge_last_of_row, _depthwise_1d),
        Stage("pointwise_kernel", _one_row, _pointwise_1d),
    ),
    _layers.SeparableConv2D: (
        Stage("depthwise_kernel", _merge_last, _depthwise),
        Stage("pointwise_kernel", _as_it_is, _pointwise),
    ),
}
