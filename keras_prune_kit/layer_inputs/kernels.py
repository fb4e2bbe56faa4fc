"""Kernels that can be solved, and reasons for those that are left as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import widened
from keras_prune_kit.layer_inputs.layouts import (
    DenseRows,
    EinsumRows,
    Layout,
    Patches,
    SeparableRows,
)
from keras_prune_kit.reports import Skipped

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_LEFT = {
    **dict.fromkeys(
        ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        "transposed convolutions are left as they are",
    ),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D"),
        "depthwise: each output has too few inputs to make up for one",
    ),
    **dict.fromkeys(
        ("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell"),
        "recurrent: its inputs depend on its own outputs",
    ),
    "Embedding": "a table: its rows do not make up for each other",
}


@dataclass(frozen=True)
class Kernel:
    """A kernel that least squares can solve.

    Attributes:
        weight: The weight.
        layout: How its layer applies it.
        bias: The variable that is added to its outputs, or `None`.
        handle: Access to variables of the model's world.
    """

    weight: _keras.PrunableWeight
    layout: Layout
    bias: Any = field(repr=False)
    handle: _keras.Variables = field(repr=False)

    @property
    def path(self) -> str:
        return self.weight.path

    def value(self) -> np.ndarray:
        """Return the kernel as `(groups, inputs, outputs)`, at least in float32."""
        value = self.handle.read_finite(self.weight.variable, self.path)
        return self.layout.matrices(self.weight.to_canonical(widened(value)))

    @property
    def variables(self) -> list[Any]:
        """The variables that `write` changes."""
        return [self.weight.variable, *([] if self.bias is None else [self.bias])]

    def read(self) -> np.ndarray:
        """Return kernel and bias as `(groups, inputs (+ 1), outputs)`, in float64."""
        matrices = self.value().astype(np.float64)
        if self.bias is None:
            return matrices
        bias = self.handle.read_finite(self.bias, f"{self.weight.layer_path}/bias")
        rows = bias.astype(np.float64).reshape(len(matrices), 1, -1)
        return np.concatenate([matrices, rows], axis=1)

    def write(self, matrices: np.ndarray) -> None:
        """Assign what `read` returned, with other values."""
        inputs = matrices.shape[1] - (self.bias is not None)
        shape = self.weight.canonical_shape()
        canonical = self.layout.kernel(matrices[:, :inputs], shape)
        self._assign(self.weight.variable, self.weight.from_canonical(canonical))
        if self.bias is not None:
            self._assign(self.bias, matrices[:, inputs:].reshape(self.bias.shape))

    def _assign(self, variable: Any, value: np.ndarray) -> None:
        dtype = self.handle.read(variable).dtype
        self.handle.write(variable, np.ascontiguousarray(value).astype(dtype))


def find_kernels(model: Any) -> Iterator[Kernel | Skipped]:
    """Yield each prunable kernel of a model, or the reason why it cannot be solved."""
    handle = _keras.variables_of(model)
    handle.sync()
    owners = Counter(
        id(variable)
        for part in _keras.parts_of(_keras.trained_model(model))
        if len(_keras.parts_of(part)) == 1
        for variable in part.weights
    )
    for weight in _keras.find_weights(model):
        if isinstance(weight, _keras.Unprunable):
            continue
        reason = _reason(weight, owners[id(weight.variable)])
        if reason:
            yield Skipped(weight.path, reason)
        else:
            bias = _bias(weight)
            yield Kernel(weight, _layout(weight.layer), bias, handle)


def unsolvable(model: Any) -> dict[str, str]:
    """Return the reason why a kernel cannot be solved, by its path."""
    kernels = find_kernels(model)
    return {item.path: item.reason for item in kernels if isinstance(item, Skipped)}


def _reason(weight: _keras.PrunableWeight, owners: int) -> str:
    layer, kind = weight.layer, _keras.known_kind(weight.layer)
    if kind in _LEFT:
        return _LEFT[kind]
    solved = ("Dense", "EinsumDense", *_CONVOLUTIONS, *_SEPARABLE)
    if kind not in solved or weight.attribute not in ("kernel", "pointwise_kernel"):
        return f"{type(layer).__name__} has a computation of its own"
    if kind == "EinsumDense" and EinsumRows(layer.equation).sums_elsewhere():
        return f"the equation {layer.equation} sums over an axis of one operand alone"
    if weight.is_adapted:
        return "under a LoRA adapter; merge it first with kpk.merge_lora(model)"
    return "tied to another layer" if owners > 1 else ""


def _layout(layer: Any) -> Layout:
    kind = _keras.known_kind(layer)
    if kind == "EinsumDense":
        return EinsumRows(layer.equation)
    if kind == "Dense":
        return DenseRows()
    window = (
        tuple(layer.kernel_size),
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.padding,
        layer.data_format == "channels_first",
    )
    if kind in _SEPARABLE:
        depthwise = np.asarray(_keras.as_array(layer.depthwise_kernel), np.float64)
        return SeparableRows(*window, depthwise=depthwise)
    return Patches(*window, groups=layer.groups)


def _bias(weight: _keras.PrunableWeight) -> Any:
    """Return the bias, or `None` if there is none with one value for each output."""
    bias = getattr(weight.layer, "bias", None)
    # Other shapes of an EinsumDense's: it stays as it is, which is as well.
    is_plain = bias is not None and tuple(bias.shape) == _outputs(weight)
    return bias if is_plain else None


def _outputs(weight: _keras.PrunableWeight) -> tuple[int, ...]:
    """Return the sizes of the outputs of a kernel, or of none if they are reordered."""
    axes = weight.axes[weight.leading + weight.inputs :]
    if isinstance(layout := _layout(weight.layer), EinsumRows):
        if weight.leading or not layout.keeps_order_of_outputs():
            return ()
        return tuple(weight.shape[axis] for axis in axes)
    return (weight.shape[-1],)
