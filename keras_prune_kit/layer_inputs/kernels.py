"""Kernels that can be solved, and reasons for those that are left as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import widened
from keras_prune_kit.layer_inputs.layouts import DenseRows, EinsumRows, Layout
from keras_prune_kit.layer_inputs.patches import (
    DepthwisePatches,
    Patches,
    SeparableRows,
    TransposedPatches,
)
from keras_prune_kit.reports import Skipped

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
_TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
# `kernel` in Keras 3, `depthwise_kernel` in Keras 2.
_SOLVED = {
    **dict.fromkeys(("Dense", "EinsumDense"), ("kernel",)),
    **dict.fromkeys((*_CONVOLUTIONS, *_TRANSPOSED), ("kernel",)),
    **dict.fromkeys(_SEPARABLE, ("pointwise_kernel",)),
    **dict.fromkeys(_DEPTHWISE, ("kernel", "depthwise_kernel")),
    **dict.fromkeys(_CELLS, ("kernel", "recurrent_kernel")),
}
_LEFT = {
    "ConvLSTMCell": "recurrent convolutions are left as they are",
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
        part: The index of that part of the bias that is for this kernel. Defaults to
            all of it.
        operand: The number of that input of the layer that it is multiplied by; 1 for
            the state of a cell. Defaults to 0.
    """

    weight: _keras.PrunableWeight
    layout: Layout
    bias: Any = field(repr=False)
    handle: _keras.Variables = field(repr=False)
    part: Any = ...
    operand: int = 0

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
        rows = bias[self.part].astype(np.float64).reshape(len(matrices), 1, -1)
        return np.concatenate([matrices, rows], axis=1)

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows of inputs in parts, as `(groups, rows, inputs)` in float64.

        Args:
            x: An input of the layer.
            chosen: The indices of the rows, as `Layout.choose` returns them.

        Raises:
            ValueError: If they are not finite.
        """
        for rows in self.layout.parts(x, chosen):
            if not np.isfinite(rows).all():
                raise ValueError(
                    f"The inputs of {self.path} must be finite on the data. Received: "
                    "NaN or infinite values; look for the layer before it that makes "
                    "them."
                )
            yield rows.astype(np.float64)

    def write(self, matrices: np.ndarray) -> None:
        """Assign what `read` returned, with other values."""
        inputs = matrices.shape[1] - (self.bias is not None)
        shape = self.weight.canonical_shape()
        canonical = self.layout.kernel(matrices[:, :inputs], shape)
        self._assign(self.weight.variable, self.weight.from_canonical(canonical))
        if self.bias is not None:
            # A copy: on some backends `read` returns a view.
            bias = np.array(self.handle.read(self.bias))
            bias[self.part] = matrices[:, inputs:].reshape(bias[self.part].shape)
            self._assign(self.bias, bias)

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
            yield _kernel(weight, handle)


def _kernel(weight: _keras.PrunableWeight, handle: _keras.Variables) -> Kernel:
    layout, operand = _layout(weight.layer), int(_is_recurrent(weight))
    bias, part = getattr(weight.layer, "bias", None), ...
    if bias is not None and _has_two_biases(weight.layer):
        part = operand
    elif operand or (bias is not None and tuple(bias.shape) != _outputs(weight)):
        # Other shapes of an EinsumDense's: it stays as it is, which is as well.
        bias = None
    return Kernel(weight, layout, bias, handle, part, operand)


def _is_recurrent(weight: _keras.PrunableWeight) -> bool:
    return weight.attribute == "recurrent_kernel"


def _has_two_biases(layer: Any) -> bool:
    """Return True for a GRU, of which each kernel may have a bias of its own."""
    return _keras.known_kind(layer) == "GRUCell" and layer.reset_after


def unsolvable(model: Any) -> dict[str, str]:
    """Return the reason why a kernel cannot be solved, by its path."""
    kernels = find_kernels(model)
    return {item.path: item.reason for item in kernels if isinstance(item, Skipped)}


def _reason(weight: _keras.PrunableWeight, owners: int) -> str:
    layer, kind = weight.layer, _keras.known_kind(weight.layer)
    if kind in _LEFT:
        return _LEFT[kind]
    if weight.attribute not in _SOLVED.get(kind or "", ()):
        return f"{type(layer).__name__} has a computation of its own"
    if kind == "EinsumDense" and EinsumRows(layer.equation).sums_elsewhere():
        return f"the equation {layer.equation} sums over an axis of one operand alone"
    if kind == "GRUCell" and _is_recurrent(weight) and not layer.reset_after:
        return "its inputs are behind a gate: reset_after=False"
    if weight.is_adapted:
        return "under a LoRA adapter; merge it first with kpk.merge_lora(model)"
    return "tied to another layer" if owners > 1 else ""


def _layout(layer: Any) -> Layout:
    kind = _keras.known_kind(layer)
    if kind == "EinsumDense":
        return EinsumRows(layer.equation)
    if kind in ("Dense", *_CELLS):
        return DenseRows()
    window = (
        tuple(layer.kernel_size),
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.padding,
        layer.data_format == "channels_first",
    )
    if kind in _TRANSPOSED:
        return TransposedPatches(*window, output_padding=_each(layer))
    if kind in _DEPTHWISE:
        return DepthwisePatches(*window, groups=_depthwise(layer).shape[-2])
    if kind in _SEPARABLE:
        depthwise = np.asarray(_keras.as_array(_depthwise(layer)), np.float64)
        return SeparableRows(*window, depthwise=depthwise)
    return Patches(*window, groups=layer.groups)


def _depthwise(layer: Any) -> Any:
    own = getattr(layer, "depthwise_kernel", None)
    return layer.kernel if own is None else own


def _each(layer: Any) -> tuple[int, ...] | None:
    """Return the output padding along each dimension of a transposed convolution."""
    given = layer.output_padding
    is_one = isinstance(given, int)
    return (given,) * len(layer.kernel_size) if is_one else given and tuple(given)


def _outputs(weight: _keras.PrunableWeight) -> tuple[int, ...]:
    """Return the sizes of the outputs of a kernel, or of none if they are reordered."""
    if isinstance(layout := _layout(weight.layer), EinsumRows):
        if weight.leading or not layout.keeps_order_of_outputs():
            return ()
        axes = weight.axes[weight.leading + weight.inputs :]
        return tuple(weight.shape[axis] for axis in axes)
    *_, channels, outputs = weight.canonical_shape()
    is_depthwise = isinstance(layout, DepthwisePatches)
    return (channels * outputs if is_depthwise else outputs,)
