"""The int8 support that .tflite has for each activation."""

from __future__ import annotations

from typing import Any

import keras

from keras_prune_kit import _keras

_functions = keras.activations

# The converter fuses these into the operator that produces their input.
_FUSED = (_functions.linear, _functions.relu, _functions.relu6)

# The int8 output range that .tflite prescribes for an activation: 256 levels, 1/256
# apart from 0 on or 1/128 apart from -1 on.
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
    """Return True if the converter fuses an activation into its producer."""
    return activation in _FUSED


def has_int8(activation: Any) -> bool:
    """Return True if .tflite can compute an activation in int8."""
    return activation in (*_FUSED, *_BOUNDS, *_OTHERS)


def bounds_of(activation: Any) -> tuple[float, float] | None:
    """Return the output range that .tflite prescribes for an activation, or `None`."""
    return _BOUNDS.get(activation)


def activation_of(layer: Any) -> Any:
    """Return the function that an activation layer computes.

    A layer such as `ReLU` or `Softmax` maps to its equivalent in `keras.activations`.

    Returns:
        The function, or `None` if the layer is no activation or has no equivalent.
    """
    # Exact classes, as a subclass may compute something else.
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
    """Return True if a `Softmax` layer normalizes over the last axis."""
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
