"""The wrapper that rounds the kernels of a layer to few bits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_prune_kit import _keras
from keras_prune_kit.quantization.activations import fuses
from keras_prune_kit.quantization.fake_quantize import FakeQuantize
from keras_prune_kit.quantization.int8_kernels import Stage, stages_of
from keras_prune_kit.quantization.rounding import (
    LOG_UNIT,
    compact,
    compact_nearest,
    learned_step,
    least_squares_step,
    levels_of,
    max_abs,
    round_to_learned_step,
    round_to_reach,
    straight_through,
)
from keras_prune_kit.quantization.wrappers import (
    QuantizeOutput,
    build_once,
    safe_reach,
    scale_and_shift,
    serialize,
)

# With so few levels, a step size set by the largest magnitude rounds most to zero.
_MOST_BITS_LEARNED = 4


@keras.saving.register_keras_serializable("keras_prune_kit")
class QuantizeKernel(QuantizeOutput):
    """A layer with rounded kernels and the normalization folded into them.

    The wrapper contains the normalization that follows the layer. In training it
    normalizes by batch statistics as before: with per-channel steps, rounding before
    and after the normalization's scale is equivalent. In inference and in the file its
    moving statistics are multiplied into the kernel. The file stores compact step
    sizes (see `compact`), which changes the normalization's scale by a small factor;
    training applies the same factor.

    Args:
        layer: A layer that `stages_of` supports.
        weight_bits: Bits of a weight, 2 to 8. Defaults to 8.
        normalization: The `BatchNormalization` that follows. Defaults to `None`.
        preserve_sparsity: If True, a weight that is zero before a training step is
            zero after it. Defaults to `True`.
        **kwargs: Passed to `QuantizeOutput`.
    """

    def __init__(
        self,
        layer: Any,
        weight_bits: int = 8,
        normalization: Any = None,
        preserve_sparsity: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(layer, **kwargs)
        self.weight_bits = weight_bits
        self.normalization = normalization
        self.preserve_sparsity = preserve_sparsity
        self._stages = stages_of(layer)
        has_two_stages = len(self._stages) == 2
        self._between = FakeQuantize(name="between") if has_two_stages else None
        # An activation that is an operator of its own needs a range for its input.
        is_fused = self._stages[-1].fuses and fuses(layer.activation)
        self._before_activation = None if is_fused else _range_before(layer.activation)
        self._kept: list[Any] = []

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        output_shape = self.compute_output_shape(input_shape)
        for part in (self.normalization, self._between, self._before_activation):
            build_once(part, output_shape)
        if self._learns_steps:
            for stage in self._stages:
                # As an attribute: TensorFlow's checkpoints do not search lists.
                setattr(self, _log_step_name(stage), self._add_log_step(stage))
        if self.preserve_sparsity:
            variables = _keras.Keras3Variables(keras)
            kernels = [getattr(self.layer, stage.attribute) for stage in self._stages]
            self._kept = [_keras.keep_zeros(variables, kernel) for kernel in kernels]

    def compute(self, inputs: Any, training: bool) -> Any:
        x = inputs
        for index, stage in enumerate(self._stages):
            if index > 0 and self._between is not None:
                x = self._between(x, training=training)
            kernel = self._rounded_kernel(index, training)
            bias = self._stage_bias(index, training)
            x = stage.apply(self.layer, x, kernel, bias)
        # In inference it is in the kernel and the bias already.
        if training and self.normalization is not None:
            x = self._scaled_as_stored(self.normalization(x, training=True))
        if self._before_activation is not None:
            x = self._before_activation(x, training=training)
        return self.layer.activation(x)

    def container_bits(self) -> tuple[int, ...]:
        """Return the bits of each kernel's type in the file, 4 or 8."""
        return tuple(
            4 if stage.has_int4 and self.weight_bits <= 4 else 8
            for stage in self._stages
        )

    def fit_steps(self) -> None:
        """Initialize learned step sizes to those that fit the current kernels best."""
        for index in range(len(self._stages) if self._learns_steps else 0):
            stage, kernel, factor = self._parts(index)
            if factor is not None and not stage.is_per_channel:
                kernel = kernel * factor
            levels = levels_of(self.weight_bits)
            step = least_squares_step(kernel.numpy(), levels, stage.is_per_channel)
            self._log_step(index).assign(np.log(step) / LOG_UNIT)

    def rounded_weights(self) -> dict[str, np.ndarray]:
        """Return the rounded kernels by attribute, in the layout of the layer."""
        found = {}
        for index, stage in enumerate(self._stages):
            shape = getattr(self.layer, stage.attribute).shape
            rounded = stage.as_stored(self._training_kernel(index), shape)
            found[stage.attribute] = rounded.numpy()
        return found

    def normalization_weights(self) -> dict[str, np.ndarray]:
        """Return the normalization's weights that differ in the file, by attribute.

        Compact step sizes change gamma, or the moving variance if there is no gamma.
        """
        gain, normalization = self._gain(), self.normalization
        if gain is None:
            return {}
        if normalization.scale:
            return {"gamma": (normalization.gamma * gain).numpy()}
        epsilon = normalization.epsilon
        variance = (normalization.moving_variance + epsilon) / gain**2 - epsilon
        return {"moving_variance": variance.numpy()}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight_bits": self.weight_bits,
            "normalization": serialize(self.normalization),
            "preserve_sparsity": self.preserve_sparsity,
        }

    @property
    def _learns_steps(self) -> bool:
        return self.weight_bits <= _MOST_BITS_LEARNED

    def _add_log_step(self, stage: Stage) -> Any:
        kernel = getattr(self.layer, stage.attribute).value
        outputs = stage.outputs_last(self.layer, kernel).shape[-1:]
        return self.add_weight(
            shape=tuple(outputs) if stage.is_per_channel else (),
            initializer="zeros",
            name=_log_step_name(stage),
        )

    def _log_step(self, index: int) -> Any:
        return getattr(self, _log_step_name(self._stages[index]))

    def _parts(self, index: int) -> tuple[Stage, Any, Any]:
        """Return a stage, its kernel with outputs last, and the scale to fold in."""
        stage = self._stages[index]
        variable = getattr(self.layer, stage.attribute).value
        kernel = stage.outputs_last(self.layer, tf.convert_to_tensor(variable))
        if self.normalization is None or not self._is_last(index):
            return stage, kernel, None
        return stage, kernel, scale_and_shift(self.normalization)[0]

    def _rounded_kernel(self, index: int, training: bool) -> Any:
        if not training:
            return self._deployed_kernel(index)
        if self._kept:
            self._note_zeros(index)
        return self._training_kernel(index)

    def _training_kernel(self, index: int) -> Any:
        stage, kernel, factor = self._parts(index)
        if factor is None or stage.is_per_channel:
            return self._round(index, kernel, factor)
        # One step size for all outputs: the file rounds them after the folded scale.
        factor = tf.stop_gradient(factor)
        return tf.math.divide_no_nan(self._round(index, kernel * factor), factor)

    def _round(self, index: int, kernel: Any, factor: Any = None) -> Any:
        levels = levels_of(self.weight_bits)
        if self._learns_steps:
            log_step = tf.convert_to_tensor(self._log_step(index).value)
            return round_to_learned_step(kernel, log_step, levels, factor is None)
        reach = self._step(index, kernel, factor) * levels
        return round_to_reach(kernel, reach, self.weight_bits)

    def _deployed_kernel(self, index: int) -> Any:
        """Return the kernel as the file stores it, with the normalization folded in.

        Levels of a width that .tflite has no type for, such as 6 bits, are a subset of
        those of the next wider type.
        """
        stage, kernel, factor = self._parts(index)
        if factor is not None and not stage.is_per_channel:
            kernel, factor = kernel * factor, None
        levels, bits = levels_of(self.weight_bits), self.container_bits()[index]
        step = self._step(index, kernel, factor)
        # A channel of zeros has a step size of 0.
        level = tf.round(tf.math.divide_no_nan(kernel, step))
        level = tf.clip_by_value(level, -levels, levels)
        kernel = straight_through(kernel, level * step)
        if factor is not None:
            factor = factor * self._gain()
            kernel, step = kernel * factor, step * tf.abs(factor)
        bias = self._stage_bias(index, training=False)
        reach = safe_reach(step * levels_of(bits), bias)
        # Once more, as `safe_reach` may have enlarged it.
        reach = compact(reach / levels_of(bits)) * levels_of(bits)
        return round_to_reach(kernel, reach, bits)

    def _step(self, index: int, kernel: Any, factor: Any) -> Any:
        """Return the step size, compact unless a factor is folded in (see `_gain`)."""
        if self._learns_steps:
            return learned_step(self._log_step(index).value, factor is None)
        reach = max_abs(kernel, self._stages[index].is_per_channel)
        step = reach / levels_of(self.weight_bits)
        return compact(step) if factor is None else step

    def _gain(self) -> Any:
        """Return the factor that compact step sizes put on the normalization's scale.

        It is applied after the normalization. Compact steps before it would change its
        statistics, and with them the steps: a circular dependency.

        Returns:
            A tensor `(outputs,)`, or `None` if no normalization is folded into a kernel
            with per-channel steps.
        """
        last = len(self._stages) - 1
        stage, kernel, factor = self._parts(last)
        if factor is None or not stage.is_per_channel:
            return None
        step = self._step(last, kernel, factor) * tf.abs(factor)
        gain = tf.where(step > 0, compact_nearest(step) / step, 1.0)
        return tf.stop_gradient(gain)

    def _scaled_as_stored(self, x: Any) -> Any:
        """Return the normalization's output with the scale that the file will have."""
        gain = self._gain()
        if gain is None:
            return x
        center = self.normalization.beta.value if self.normalization.center else 0.0
        return center + gain * (x - center)

    def _note_zeros(self, index: int) -> None:
        """Mask current zeros, so that they are zero after the optimizer's update."""
        variable = getattr(self.layer, self._stages[index].attribute).value
        is_kept = tf.not_equal(variable, 0.0)
        # A kernel of zeros only was initialized so, not pruned: leave it free.
        self._kept[index].state.assign(is_kept | ~tf.reduce_any(is_kept))

    def _is_last(self, index: int) -> bool:
        return index == len(self._stages) - 1

    def _stage_bias(self, index: int, training: bool) -> Any:
        """Return the bias for the last stage, with the normalization folded in."""
        variable = getattr(self.layer, "bias", None)
        bias = None if variable is None else tf.convert_to_tensor(variable.value)
        if not self._is_last(index):
            return None
        if training or self.normalization is None:
            return bias
        scale, shift = scale_and_shift(self.normalization)
        return self._scaled_as_stored(shift if bias is None else shift + bias * scale)


def _log_step_name(stage: Stage) -> str:
    return f"{stage.attribute}_log_step"


def _range_before(activation: Any) -> FakeQuantize | None:
    """Return the range between an operator and an activation that is not fused."""
    if activation is keras.activations.linear:
        return None
    return FakeQuantize(name="before_activation")
