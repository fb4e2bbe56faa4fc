"""Search for the prunable weights of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import trained_model
from keras_prune_kit._keras.quantized_weights import (
    QuantizedWeight,
    quantized_weight,
)

_CONV = ("Conv1D", "Conv2D", "Conv3D")
_CONV_TRANSPOSE = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell")

# Layers that fake-quantize weights or outputs during training: ours and TFMOT's.
_QUANTIZING = {
    *("QuantizeKernel", "QuantizeScale", "QuantizeOutput", "FakeQuantize"),
    *("QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"),
}

# Attributes of the weights that are worth pruning, by layer class.
_KERNELS: dict[str, tuple[str, ...]] = {
    "Dense": ("kernel",),
    "EinsumDense": ("kernel",),
    "Embedding": ("embeddings",),
    **dict.fromkeys(_CONV + _CONV_TRANSPOSE, ("kernel",)),
    # Not the depthwise kernel, which has few weights.
    **dict.fromkeys(_SEPARABLE, ("pointwise_kernel",)),
    # `kernel` in Keras 3, `depthwise_kernel` in Keras 2.
    **dict.fromkeys(_DEPTHWISE, ("kernel", "depthwise_kernel")),
    **dict.fromkeys(_CELLS, ("kernel", "recurrent_kernel")),
}


@dataclass(frozen=True)
class PrunableWeight:
    """A prunable weight and its location in the model.

    Attributes:
        layer_path: Layer names from the outermost layer to the owner, joined by "/".
        attribute: The layer's attribute for the weight, such as `"kernel"`.
        variable: The variable.
        layers: The layers from the outermost one inside the model to the owner.
        is_depthwise: True for a depthwise kernel, which is pruned only if a rule names
            it: it has few weights, and each output channel depends on a handful.
        axes: The order of axes that puts inputs before outputs.
        leading: The number of axes before the inputs.
        inputs: The number of input axes.
    """

    layer_path: str
    attribute: str
    variable: Any = field(repr=False)
    layers: tuple[Any, ...] = field(repr=False)
    is_depthwise: bool
    axes: tuple[int, ...]
    leading: int
    inputs: int = 1

    @property
    def path(self) -> str:
        """The layer path and attribute, joined by "/"."""
        return f"{self.layer_path}/{self.attribute}"

    @property
    def layer(self) -> Any:
        """The layer that owns the weight."""
        return self.layers[-1]

    @property
    def is_trainable(self) -> bool:
        """True if the weight and all layers around it are trainable."""
        parts = (*self.layers, self.variable)
        return all(getattr(part, "trainable", True) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the variable."""
        return tuple(self.variable.shape)

    def canonical_shape(self) -> tuple[int, ...]:
        """Return the shape `(..., inputs, outputs)` that structures work on."""
        # A broadcast scalar takes no memory, whatever the shape.
        return self.to_canonical(np.broadcast_to(np.int8(0), self.shape)).shape

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """Rearrange an array of the variable's shape to `(..., inputs, outputs)`."""
        if array.ndim < 2:
            return array
        moved = array.transpose(self.axes)
        lead, rest = moved.shape[: self.leading], moved.shape[self.leading :]
        ins, outs = rest[: self.inputs], rest[self.inputs :]
        return moved.reshape(*lead, _product(ins), _product(outs))

    def from_canonical(self, array: np.ndarray) -> np.ndarray:
        """Apply the inverse of `to_canonical`."""
        if len(self.shape) < 2:
            return array
        moved_shape = [self.shape[axis] for axis in self.axes]
        # `argsort` inverts a permutation.
        return array.reshape(moved_shape).transpose(np.argsort(self.axes))


@dataclass(frozen=True)
class Unprunable:
    """A layer that owns weights that cannot be pruned, and the reason.

    Attributes:
        layer_path: Layer names from the outermost layer to this one, joined by "/".
        reason: The reason.
        quantized: The weight if it is in integers and can be counted, else `None`.
    """

    layer_path: str
    reason: str
    quantized: QuantizedWeight | None = None


def find_weights(model: Any) -> Iterator[PrunableWeight | Unprunable]:
    """Yield each weight of a model once, in the order of its layers.

    For a model that trains another one, yield those of the other. A shared layer or
    variable is yielded at its first occurrence.

    Args:
        model: A built Keras model of either world.
    """
    seen: set[int] = set()
    for path, layers in walk(trained_model(model)):
        if id(layers[-1]) in seen:
            continue
        seen.add(id(layers[-1]))
        for found in _own_weights(path, layers):
            if isinstance(found, PrunableWeight):
                if id(found.variable) in seen:
                    continue
                seen.add(id(found.variable))
                if 0 in found.shape:
                    found = Unprunable(path, f"its {found.attribute} is empty")
            yield found


def check_not_wrapped(model: Any) -> None:
    """Raise a `ValueError` if a layer of the model is wrapped by TFMOT for pruning."""
    for path, layers in walk(model):
        if any(b.__name__ == "PruneLowMagnitude" for b in type(layers[-1]).__mro__):
            raise ValueError(
                f"Layer '{path}' is wrapped by TFMOT, which already prunes it. Train "
                "with kpk.tfmot.callbacks(), or remove the wrappers first: "
                "kpk.tfmot.strip(model)."
            )


def is_quantization_aware(model: Any) -> bool:
    """Return True if the model contains fake-quant layers, of this package or TFMOT."""
    return any(
        base.__name__ in _QUANTIZING
        for _, layers in walk(model)
        for base in type(layers[-1]).__mro__
    )


def without_range(model: Any) -> list[str]:
    """Return paths of the fake-quant layers of a Keras 3 model without a range yet."""
    return [
        path
        for path, layers in walk(model)
        if hasattr(layers[-1], "has_range") and not layers[-1].has_range()
    ]


def walk(
    parent: Any, path: str = "", layers: tuple[Any, ...] = ()
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the path of each layer in a model and the layers from outermost to it."""
    for child in children(parent):
        child_path = path if _is_core(parent, child) else f"{path}/{child.name}"
        child_path = child_path.lstrip("/")
        below = (*layers, child)
        yield child_path, below
        yield from walk(child, child_path, below)


def _is_core(parent: Any, child: Any) -> bool:
    """Return True for the inner layer of a wrapper, whose name the path leaves out.

    The weights of a recurrent layer are owned by its cell, those of a
    quantization-aware layer by the float layer that it wraps.
    """
    cores = (getattr(parent, name, None) for name in ("cell", "float_layer"))
    return any(child is core for core in cores)


def children(layer: Any) -> list[Any]:
    """Return the layers directly inside a layer or model, in its own order."""
    if hasattr(layer, "layers"):
        return list(layer.layers)
    return list(layer._flatten_layers(recursive=False, include_self=False))


def _own_weights(
    path: str, layers: tuple[Any, ...]
) -> Iterator[PrunableWeight | Unprunable]:
    layer = layers[-1]
    # TFMOT's method, so layers written for it work here, too.
    if hasattr(layer, "get_prunable_weights"):
        for variable in layer.get_prunable_weights():
            if _is_float_variable(variable):
                yield _weight(path, _attribute_of(layer, variable), variable, layers)
            else:
                # For example the kernel of a Dense after enable_lora() or quantize().
                yield Unprunable(path, "its weight is not a plain float variable")
        return
    kind = _known_class(layer)
    if kind is None:
        if _owns_weights(layer):
            yield Unprunable(path, _reason(layer))
        return
    for attribute in _KERNELS[kind]:
        # `kernel` of an unbuilt Keras 3 layer is a property that raises AttributeError.
        variable = getattr(layer, attribute, None)
        if variable is None:
            continue
        if not _is_float_variable(variable):
            yield _not_float(path, layer, attribute)
            continue
        yield _weight(path, attribute, variable, layers)
    if not layer.built:
        yield Unprunable(path, "it is not built: the model never calls it")


def _not_float(path: str, layer: Any, attribute: str) -> Unprunable:
    quantized = quantized_weight(path, layer, attribute)
    if quantized is None:
        return Unprunable(path, f"its {attribute} is not a plain float variable")
    reason = f"its {attribute} is quantized ({layer.quantization_mode}); prune it first"
    return Unprunable(path, reason, quantized)


def _weight(
    path: str, attribute: str, variable: Any, layers: tuple[Any, ...]
) -> PrunableWeight:
    kind = _known_class(layers[-1])
    rank = len(variable.shape)
    axes, leading, inputs = tuple(range(rank)), max(0, rank - 2), 1
    if kind in _CONV_TRANSPOSE:
        # Keras stores transposed convolution kernels as (..., outputs, inputs).
        axes = (*axes[:-2], axes[-1], axes[-2])
    elif kind == "EinsumDense" and attribute == "kernel":
        axes, leading, inputs = _einsum_layout(layers[-1].equation)
    return PrunableWeight(
        layer_path=path,
        attribute=attribute,
        variable=variable,
        layers=layers,
        is_depthwise=kind in _DEPTHWISE,
        axes=axes,
        leading=leading,
        inputs=inputs,
    )


def _einsum_layout(equation: str) -> tuple[tuple[int, ...], int, int]:
    """Return a kernel's axes as batch, inputs, outputs; count the first two kinds."""
    operands, _, output = equation.replace(" ", "").partition("->")
    data, _, kernel = operands.partition(",")
    batch = [i for i, c in enumerate(kernel) if c in data and c in output]
    inputs = [i for i, c in enumerate(kernel) if c not in output]
    outputs = [i for i, c in enumerate(kernel) if c in output and c not in data]
    return (*batch, *inputs, *outputs), len(batch), len(inputs)


def _known_class(layer: Any) -> str | None:
    for base in type(layer).__mro__:
        if is_of_keras(base) and base.__name__ in _KERNELS:
            return base.__name__
    return None


def _reason(layer: Any) -> str:
    name = type(layer).__name__
    if "Normalization" in name:
        return "normalization: pruning it removes whole channels"
    return f"{name} names no prunable weights; define get_prunable_weights() in it"


def _owns_weights(layer: Any) -> bool:
    below = {id(w) for child in children(layer) for w in child.weights}
    return any(id(weight) not in below for weight in layer.weights)


def _is_float_variable(variable: Any) -> bool:
    return hasattr(variable, "assign") and "float" in str(
        getattr(variable.dtype, "name", variable.dtype)
    )


def _attribute_of(layer: Any, variable: Any) -> str:
    for name, value in vars(layer).items():
        if value is variable:
            # Keras 3 keeps a kernel as `_kernel`, behind a property.
            return name.lstrip("_")
    # Keras 2 names a variable `dense/kernel:0`.
    return variable.name.partition(":")[0].rpartition("/")[2]


def _product(sizes: tuple[int, ...]) -> int:
    return int(np.prod(sizes, dtype=np.int64))
