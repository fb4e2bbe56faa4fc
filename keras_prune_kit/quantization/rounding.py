"""Fake quantization: rounded in the forward pass, straight through in the backward.

Symmetric, narrow-range steps for kernels (-127 to 127 at 8 bits), asymmetric ones for
activations, as the .tflite kernels want them (Jacob et al. 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

# The logarithm of a learned step is kept in tenths, so that Adam, which moves every
# weight by about its learning rate, moves a step by 1 % at 1e-3, whatever its size.
LOG_UNIT = 10.0

# Steps that are tried out, as fractions of the one that clips nothing.
_NARROWEST, _CANDIDATES = 0.05, 48


# Bits of a step's fraction that may be set. Steps are stored as float32, once for each
# output and once more, times the input's step, for its bias.
_FRACTION_BITS = 3
_UNUSED = 2 ** (23 - _FRACTION_BITS) - 1


def levels_of(bits: int) -> int:
    """Steps on either side of zero: 127 at 8 bits, 1 at 2 bits."""
    return 2 ** (bits - 1) - 1


@tf.custom_gradient
def straight_through(value: Any, stand_in: Any) -> Any:
    """`stand_in`, with the gradient of `value` (Bengio et al. 2013)."""
    return tf.identity(stand_in), lambda upstream: (upstream, None)


def compact(step: Any) -> Any:
    """The next step up that compresses well: most of its bits are zero.

    At most an eighth larger. A channel then costs a byte or two where it cost eight,
    which counts in networks of many channels and few weights.

    Args:
        step: A float32 tensor of values of at least 0.
    """
    # A product that should be compact may be off by some units in the last place.
    bits = tf.bitcast(step, tf.int32) + (_UNUSED - 64)
    return _without_unused(bits)


def compact_nearest(step: Any) -> Any:
    """The nearest step that compresses well: at most a sixteenth off; see `compact`.

    Args:
        step: A float32 tensor of values of at least 0.
    """
    return _without_unused(tf.bitcast(step, tf.int32) + (_UNUSED + 1) // 2)


def _without_unused(bits: Any) -> Any:
    return tf.stop_gradient(
        tf.bitcast(tf.bitwise.bitwise_and(bits, ~_UNUSED), tf.float32)
    )


def compact_range(low: Any, high: Any) -> tuple[Any, Any]:
    """A range of 256 steps of compact size, zero being one of them, that holds another.

    Args:
        low: Scalar, at most 0.
        high: Scalar, at least 0 and above `low`.
    """
    step = compact((high - low) / 255)
    below = tf.clip_by_value(tf.round(-low / step), 0, 255)
    return -below * step, (255 - below) * step


def round_activation(x: Any, low: Any, high: Any) -> Any:
    """A tensor as int8 can hold it within a range; clipped outside.

    Args:
        x: A float tensor.
        low: Scalar, at most 0.
        high: Scalar, at least 0.
    """
    rounded = tf.quantization.fake_quant_with_min_max_vars(x, low, high)
    return straight_through(x, rounded)


def round_to_reach(kernel: Any, reach: Any, bits: int) -> Any:
    """A kernel in steps of `reach / levels_of(bits)`; what the converter looks for.

    Args:
        kernel: A float tensor `(..., outputs)`.
        reach: What the outermost level stands for: a scalar, or one an output.
        bits: From 2 to 8.
    """
    if reach.shape.rank:
        round_it = tf.quantization.fake_quant_with_min_max_vars_per_channel
    else:
        round_it = tf.quantization.fake_quant_with_min_max_vars
    rounded = round_it(kernel, -reach, reach, num_bits=bits, narrow_range=True)
    return straight_through(kernel, rounded)


def max_abs(kernel: Any, per_channel: bool) -> Any:
    """The largest magnitude, of all values or of each output `(outputs,)`."""
    axes = list(range(kernel.shape.rank - 1)) if per_channel else None
    return tf.reduce_max(tf.abs(kernel), axes)


def round_to_learned_step(
    kernel: Any, log_step: Any, levels: int, is_compact: bool = True
) -> Any:
    """A kernel in steps whose size is learned (Esser et al. 2020, "LSQ").

    At few bits the largest magnitude is a poor guide: most values would round to
    zero. The step follows the loss instead.

    Args:
        kernel: A float tensor `(..., outputs)`.
        log_step: Logarithm of the step in units of 1 / `LOG_UNIT`: a scalar, or one
            an output.
        levels: Steps on either side of zero.
        is_compact: As in `learned_step`. Defaults to `True`.
    """
    axes = list(range(kernel.shape.rank - log_step.shape.rank))
    sharing = kernel.shape.num_elements() / max(1, log_step.shape.num_elements())
    damping = 1 / np.sqrt(sharing * levels)

    @tf.custom_gradient
    def rounded(kernel: Any, log_step: Any) -> Any:
        step = learned_step(log_step, is_compact)
        scaled = kernel / step
        level = tf.round(tf.clip_by_value(scaled, -levels, levels))

        def gradient(upstream: Any) -> Any:
            slope = tf.where(tf.abs(scaled) <= levels, level - scaled, level)
            by_step = tf.reduce_sum(upstream * slope, axes) * damping
            return upstream, by_step / (LOG_UNIT * step)

        return level * step, gradient

    return rounded(kernel, log_step)


def learned_step(log_step: Any, is_compact: bool = True) -> Any:
    """The step that a logarithm stands for, as in `round_to_learned_step`.

    Args:
        log_step: The logarithm.
        is_compact: Whether it is to be a step that compresses well. Defaults to
            `True`.
    """
    step = tf.exp(LOG_UNIT * log_step)
    return compact(step) if is_compact else step


def least_squares_step(kernel: np.ndarray, levels: int, per_channel: bool) -> Any:
    """The step that rounds a kernel with the least squared error, to start from.

    Zeros cost nothing whatever the step is, so a pruned kernel gets the step of what
    is left of it.

    Args:
        kernel: An array `(..., outputs)`.
        levels: Steps on either side of zero.
        per_channel: Whether each output has a step of its own.

    Returns:
        An array `(outputs,)` or a scalar, all above zero.
    """
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    widest = np.abs(kernel).max(axes) / levels
    widest = np.where(widest > 0, widest, widest.max() or 1.0)
    best, least = widest, np.full(widest.shape, np.inf)
    for fraction in np.geomspace(_NARROWEST, 1.0, _CANDIDATES):
        step = widest * fraction
        level = np.clip(np.rint(kernel / step), -levels, levels)
        error = np.square(level * step - kernel).sum(axes)
        best = np.where(error < least, step, best)
        least = np.minimum(error, least)
    return best.astype(np.float32)
