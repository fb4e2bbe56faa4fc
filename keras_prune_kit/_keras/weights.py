"""Finding the weights of a model that can be pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import trained_model

_CONV = ("Conv1D", "Conv2D", "Conv3D")
_CONV_TRANSPOSE = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell")

# Layers that round their weights or outputs while they train: ours and TFMOT's.
_QUANTIZING = {
    *("QuantizeKernel", "QuantizeScale", "QuantizeOutput", "FakeQuantize"),
    *("QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"),
}

# What a layer class calls the weights that are worth pruning.
_KERNELS: dict[str, tuple[str, ...]] = {
    "Dense": ("kernel",),
    "EinsumDense": ("kernel",),
    "Embedding": ("embeddings",),
    **dict.fromkeys(_CONV + _CONV_TRANSPOSE, ("kernel",)),
    **dict.fromkeys(_SEPARABLE, ("pointwise_kernel",)),
    # Keras 3 says kernel, Keras 2 depthwise_kernel.
    **dict.fromkeys(_DEPTHWISE, ("kernel", "depthwise_kernel")),
    **dict.fromkeys(_CELLS, ("kernel", "recurrent_kernel")),
}


@dataclass(frozen=True)
class PrunableWeight:
    """A weight that can be pruned, and where it is.

    Attributes:
        layer_path: Names of the layers from the model down, joined by "/".
        attribute: What the layer calls the weight, such as `"kernel"`.
        variable: The variable itself.
        layers: The layers from the outermost one inside the model to the owner.
        is_depthwise: Depthwise kernels are few and precious: pruned on demand only.
        axes: Order of the axes that puts inputs before outputs.
        leading: How many of these come before the inputs.
        inputs: How many of these are inputs.
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
        """Layer path and attribute."""
        return f"{self.layer_path}/{self.attribute}"

    @property
    def layer(self) -> Any:
        """The layer that owns the weight."""
        return self.layers[-1]

    @property
    def is_trainable(self) -> bool:
        """Whether training changes the weight: it and all layers around it train."""
        parts = (*self.layers, self.variable)
        return all(getattr(part, "trainable", True) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the variable."""
        return tuple(self.variable.shape)

    def canonical_shape(self) -> tuple[int, ...]:
        """The shape `(..., inputs, outputs)` in which structures see the weight."""
        return self.to_canonical(np.broadcast_to(np.int8(0), self.shape)).shape

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """Brings an array of the variable's shape into `(..., inputs, outputs)`."""
        if array.ndim < 2:
            return array
        moved = array.transpose(self.axes)
        lead, rest = moved.shape[: self.leading], moved.shape[self.leading :]
        ins, outs = rest[: self.inputs], rest[self.inputs :]
        return moved.reshape(*lead, _product(ins), _product(outs))

    def from_canonical(self, array: np.ndarray) -> np.ndarray:
        """The inverse of `to_canonical`."""
        if len(self.shape) < 2:
            return array
        moved_shape = [self.shape[axis] for axis in self.axes]
        return array.reshape(moved_shape).transpose(np.argsort(self.axes))


@dataclass(frozen=True)
class Unprunable:
    """A layer with weights of its own that cannot be pruned, and why."""

    layer_path: str
    reason: str


def find_weights(model: Any) -> Iterator[PrunableWeight | Unprunable]:
    """Walks a model and yields each weight once, in the order of its layers.

    Of a model that trains another one, the other's. A layer or variable that is used
    twice is yielded where it is met first.

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
    """Raises a `ValueError` if TFMOT prunes a layer of the model already."""
    for path, layers in walk(model):
        if any(b.__name__ == "PruneLowMagnitude" for b in type(layers[-1]).__mro__):
            raise ValueError(
                f"Layer '{path}' is wrapped by TFMOT, which prunes it already. Train "
                "with kpk.tfmot.callbacks(), or take the wrappers off first: "
                "kpk.tfmot.strip(model)."
            )


def is_quantization_aware(model: Any) -> bool:
    """Whether layers of a model round what they compute, so that it trains as int8."""
    return any(
        base.__name__ in _QUANTIZING
        for _, layers in walk(model)
        for base in type(layers[-1]).__mro__
    )


def without_range(model: Any) -> list[str]:
    """Paths of the activations of a quantized Keras 3 model that have no range yet."""
    return [
        path
        for path, layers in walk(model)
        if hasattr(layers[-1], "has_range") and not layers[-1].has_range()
    ]


def walk(
    parent: Any, path: str = "", layers: tuple[Any, ...] = ()
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every layer below a model, with its path and the layers around it."""
    for child in children(parent):
        child_path = path if _is_core(parent, child) else f"{path}/{child.name}"
        child_path = child_path.lstrip("/")
        below = (*layers, child)
        yield child_path, below
        yield from walk(child, child_path, below)


def _is_core(parent: Any, child: Any) -> bool:
    """Whether a layer is what another one is about, so that the path names that.

    A recurrent layer's weights live in its cell, those of a layer that trains
    quantized in the layer that it wraps.
    """
    cores = (getattr(parent, name, None) for name in ("cell", "float_layer"))
    return any(child is core for core in cores)


def children(layer: Any) -> list[Any]:
    """The layers right inside a layer or model, in the order that it has them."""
    if hasattr(layer, "layers"):
        return list(layer.layers)
    return list(layer._flatten_layers(recursive=False, include_self=False))


def _own_weights(
    path: str, layers: tuple[Any, ...]
) -> Iterator[PrunableWeight | Unprunable]:
    layer = layers[-1]
    if hasattr(layer, "get_prunable_weights"):
        for variable in layer.get_prunable_weights():
            if _is_float_variable(variable):
                yield _weight(path, _attribute_of(layer, variable), variable, layers)
            else:
                # Such as the kernel of a Dense after enable_lora() or quantize().
                yield Unprunable(path, "it names what is not a plain float variable")
        return
    kind = _known_class(layer)
    if kind is None:
        if _owns_weights(layer):
            yield Unprunable(path, _reason(layer))
        return
    for attribute in _KERNELS[kind]:
        variable = getattr(layer, attribute, None)
        if variable is None:
            continue
        if not _is_float_variable(variable):
            yield Unprunable(path, f"its {attribute} is not a plain float variable")
            continue
        yield _weight(path, attribute, variable, layers)
    if not layer.built:
        yield Unprunable(path, "it is not built: the model never calls it")


def _weight(
    path: str, attribute: str, variable: Any, layers: tuple[Any, ...]
) -> PrunableWeight:
    kind = _known_class(layers[-1])
    rank = len(variable.shape)
    axes, leading, inputs = tuple(range(rank)), max(0, rank - 2), 1
    if kind in _CONV_TRANSPOSE:
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
    """Order of a kernel's axes as batch, inputs, outputs; how many of the first two."""
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
        return "normalization weights are few and precious"
    return f"{name} names no prunable weights; give it get_prunable_weights()"


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
            return name.lstrip("_")
    return variable.name.partition(":")[0].rpartition("/")[2]


def _product(sizes: tuple[int, ...]) -> int:
    return int(np.prod(sizes, dtype=np.int64))
