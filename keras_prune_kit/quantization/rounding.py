"""Fake quantization: rounding with a straight-through gradient.

Symmetric, narrow-range levels for kernels (-127 to 127 at 8 bits), asymmetric ones for
activations, as .tflite defines them (Jacob et al. 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

# Learned step sizes are stored as a tenth of their logarithm. Adam changes every weight
# by about its learning rate, so at 1e-3 it changes a step size by 1 %, small or large.
LOG_UNIT = 10.0

# Candidates for a step size: the smallest, as a fraction of the step size that clips
# nothing, and their number.
_NARROWEST, _CANDIDATES = 0.05, 48

# Mantissa bits of a compact step size that may be set. The file stores scales as
# float32: one for each output channel, and one for its bias (times the input's scale).
_FRACTION_BITS = 3
_UNUSED = 2 ** (23 - _FRACTION_BITS) - 1


def levels_of(bits: int) -> int:
    """Return the number of levels on either side of zero: 127 at 8 bits, 1 at 2."""
    return 2 ** (bits - 1) - 1


@tf.custom_gradient
def straight_through(value: Any, stand_in: Any) -> Any:
    """Return `stand_in` with the gradient of `value` (Bengio et al. 2013)."""
    return tf.identity(stand_in), lambda upstream: (upstream, None)


def compact(step: Any) -> Any:
    """Round a step size up to one that compresses well, with most bits zero.

    The result is at most an eighth larger. The scales of a channel then take a byte or
    two after compression instead of eight bytes, which matters in networks with many
    channels and few weights.

    Args:
        step: A float32 tensor of values of at least 0.
    """
    # Tolerate 64 units in the last place: a product of compact values is not exact.
    bits = tf.bitcast(step, tf.int32) + (_UNUSED - 64)
    # Bits of positive floats are ordered as integers: a carry raises the exponent.
    return _without_unused(bits)


def compact_nearest(step: Any) -> Any:
    """Round a step size to the nearest compact one, at most a sixteenth off.

    See `compact`.

    Args:
        step: A float32 tensor of values of at least 0.
    """
    return _without_unused(tf.bitcast(step, tf.int32) + (_UNUSED + 1) // 2)


def _without_unused(bits: Any) -> Any:
    return tf.stop_gradient(
        tf.bitcast(tf.bitwise.bitwise_and(bits, ~_UNUSED), tf.float32)
    )


def compact_range(low: Any, high: Any) -> tuple[Any, Any]:
    """Return a range with a compact step size, and with zero as one of its 256 levels.

    It covers the given range to within half a step.

    Args:
        low: Scalar, at most 0.
        high: Scalar, at least 0 and above `low`.
    """
    step = compact((high - low) / 255)
    # A whole number of steps below zero makes zero one of the levels.
    below = tf.clip_by_value(tf.round(-low / step), 0, 255)
    return -below * step, (255 - below) * step


def round_activation(x: Any, low: Any, high: Any) -> Any:
    """Fake-quantize a tensor to 8 bits, clipped to a range.

    The gradient passes unchanged, also for clipped values.

    Args:
        x: A float tensor.
        low: Scalar, at most 0.
        high: Scalar, at least 0.
    """
    rounded = tf.quantization.fake_quant_with_min_max_vars(x, low, high)
    return straight_through(x, rounded)


def round_to_reach(kernel: Any, reach: Any, bits: int) -> Any:
    """Fake-quantize a kernel with step size `reach / levels_of(bits)`.

    It uses the operators that the converter recognizes. The gradient passes unchanged.

    Args:
        kernel: A float tensor `(..., outputs)`.
        reach: Magnitude of the outermost level: a scalar or `(outputs,)`.
        bits: Bits of a weight, 2 to 8.
    """
    if reach.shape.rank:
        round_it = tf.quantization.fake_quant_with_min_max_vars_per_channel
    else:
        round_it = tf.quantization.fake_quant_with_min_max_vars
    rounded = round_it(kernel, -reach, reach, num_bits=bits, narrow_range=True)
    return straight_through(kernel, rounded)


def max_abs(kernel: Any, per_channel: bool) -> Any:
    """Return the largest magnitude, of all values or of each output `(outputs,)`."""
    axes = list(range(kernel.shape.rank - 1)) if per_channel else None
    return tf.reduce_max(tf.abs(kernel), axes)


def round_to_learned_step(
    kernel: Any, log_step: Any, levels: int, is_compact: bool = True
) -> Any:
    """Round a kernel to a learned step size (Esser et al. 2020, "LSQ").

    With few bits and a step size set by the largest magnitude, most values would round
    to zero. The loss learns the step size instead.

    Args:
        kernel: A float tensor `(..., outputs)`.
        log_step: Logarithm of the step size, divided by `LOG_UNIT`: a scalar or
            `(outputs,)`.
        levels: Number of levels on either side of zero.
        is_compact: As in `learned_step`. Defaults to `True`.
    """
    axes = list(range(kernel.shape.rank - log_step.shape.rank))
    sharing = kernel.shape.num_elements() / max(1, log_step.shape.num_elements())
    # All weights of a step add to its gradient, so more of them mean more damping.
    damping = 1 / np.sqrt(sharing * levels)

    @tf.custom_gradient
    def rounded(kernel: Any, log_step: Any) -> Any:
        step = learned_step(log_step, is_compact)
        scaled = kernel / step
        level = tf.round(tf.clip_by_value(scaled, -levels, levels))

        def gradient(upstream: Any) -> Any:
            # The rounding error; for clipped values the outermost level.
            slope = tf.where(tf.abs(scaled) <= levels, level - scaled, level)
            by_step = tf.reduce_sum(upstream * slope, axes) * damping
            return upstream, by_step / (LOG_UNIT * step)

        return level * step, gradient

    return rounded(kernel, log_step)


def learned_step(log_step: Any, is_compact: bool = True) -> Any:
    """Return the step size for a stored logarithm.

    Args:
        log_step: As in `round_to_learned_step`.
        is_compact: If True, round it up to one that compresses well; see `compact`.
            Defaults to `True`.
    """
    step = tf.exp(LOG_UNIT * log_step)
    return compact(step) if is_compact else step


def least_squares_step(kernel: np.ndarray, levels: int, per_channel: bool) -> Any:
    """Return the initial step size: the one that rounds with the least squared error.

    Zeros have no error at any step size, so that of a pruned kernel depends only on
    its remaining weights.

    Args:
        kernel: An array `(..., outputs)`.
        levels: Number of levels on either side of zero.
        per_channel: If True, compute one step size for each output.

    Returns:
        An array `(outputs,)` or a scalar, all above zero.
    """
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    widest = np.abs(kernel).max(axes) / levels
    # A channel of zeros takes the step of the widest one, to be above zero.
    widest = np.where(widest > 0, widest, widest.max() or 1.0)
    best, least = widest, np.full(widest.shape, np.inf)
    for fraction in np.geomspace(_NARROWEST, 1.0, _CANDIDATES):
        step = widest * fraction
        level = np.clip(np.rint(kernel / step), -levels, levels)
        error = np.square(level * step - kernel).sum(axes)
        best = np.where(error < least, step, best)
        least = np.minimum(error, least)
    return best.astype(np.float32)
