"""What .tflite can do in int8 with each activation."""

from __future__ import annotations

from typing import Any

import keras

from keras_prune_kit import _keras

_functions = keras.activations

# Those that become a part of the operator before them.
_FUSED = (_functions.linear, _functions.relu, _functions.relu6)

# Those whose int8 output has a range that .tflite prescribes.
_BOUNDS = {
    _functions.sigmoid: (0.0, 255 / 256),
    _functions.softmax: (0.0, 255 / 256),
    _functions.tanh: (-1.0, 127 / 128),
}
_OTHERS = (
    *(_functions.exponential, _functions.gelu, _functions.hard_silu),
    *(_functions.leaky_relu, _functions.silu),
)


def fuses(activation: Any) -> bool:
    """Whether an activation becomes a part of the operator before it."""
    return activation in _FUSED


def has_int8(activation: Any) -> bool:
    """Whether .tflite computes an activation in int8."""
    return activation in (*_FUSED, *_BOUNDS, *_OTHERS)


def bounds_of(activation: Any) -> tuple[float, float] | None:
    """The range that .tflite prescribes for an activation, or `None`."""
    return _BOUNDS.get(activation)


def activation_of(layer: Any) -> Any:
    """The function that an activation layer stands for; `None` if it is no such.

    A function of `keras.activations` is given where the layer is the same thing.
    """
    if type(layer) is keras.layers.Activation:
        return layer.activation
    if type(layer) is keras.layers.Softmax and is_over_last_axis(layer):
        return _functions.softmax
    if type(layer) is keras.layers.LeakyReLU:
        return _functions.leaky_relu
    if type(layer) is keras.layers.ReLU:
        return _relu_of(layer)
    return None


def is_over_last_axis(softmax: Any) -> bool:
    """Whether a `Softmax` is over the last axis, counted from either end."""
    calls = _keras.calls_of(softmax)
    lasts = {len(call.input_tensors[0].shape) - 1 for call in calls}
    return softmax.axis == -1 or lasts == {softmax.axis}


def _relu_of(layer: Any) -> Any:
    if layer.threshold:
        return None
    if layer.max_value is None:
        return _functions.leaky_relu if layer.negative_slope else _functions.relu
    is_relu6 = layer.max_value == 6 and not layer.negative_slope
    return _functions.relu6 if is_relu6 else None
