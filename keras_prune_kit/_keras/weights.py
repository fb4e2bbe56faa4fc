"""Search for the prunable weights of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_prune_kit._keras.index_tables import is_index_table
from keras_prune_kit._keras.layer_classes import is_of_keras, is_of_keras_hub
from keras_prune_kit._keras.models import trained_model
from keras_prune_kit._keras.prunable_weight import PrunableWeight, Unprunable
from keras_prune_kit._keras.quantized_weights import quantized_weight

_CONV = ("Conv1D", "Conv2D", "Conv3D")
_CONV_TRANSPOSE = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_EMBEDDINGS = ("Embedding", "ReversibleEmbedding", "PositionEmbedding")
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
    # The second one only if the two are not tied.
    "ReversibleEmbedding": ("embeddings", "reverse_embeddings"),
    "PositionEmbedding": ("position_embeddings",),
    **dict.fromkeys(_CONV + _CONV_TRANSPOSE, ("kernel",)),
    # Not the depthwise kernel, which has few weights.
    **dict.fromkeys(_SEPARABLE, ("pointwise_kernel",)),
    # `kernel` in Keras 3, `depthwise_kernel` in Keras 2.
    **dict.fromkeys(_DEPTHWISE, ("kernel", "depthwise_kernel")),
    **dict.fromkeys(_CELLS, ("kernel", "recurrent_kernel")),
}


def find_weights(model: Any) -> Iterator[PrunableWeight | Unprunable]:
    """Yield each weight of a model once, in the order of its layers.

    For a model that trains another one, yield those of the other. A shared layer or
    variable is yielded at its first occurrence.

    Args:
        model: A built Keras model of either world.
    """
    seen: set[int] = set()
    model = trained_model(model)
    for path, layers in walk(model):
        if id(layers[-1]) in seen:
            continue
        seen.add(id(layers[-1]))
        for found in _own_weights(path, layers, (model, *layers)[-2]):
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
        if _is_tfmot_wrapper(layers[-1]):
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
    path: str, layers: tuple[Any, ...], owner: Any
) -> Iterator[PrunableWeight | Unprunable]:
    layer = layers[-1]
    # TFMOT's method, so layers written for it work here, too.
    if hasattr(layer, "get_prunable_weights"):
        for variable in layer.get_prunable_weights():
            if _is_float_variable(variable):
                attribute = _attribute_of(layer, variable)
                yield _weight(path, attribute, variable, layers, owner)
            else:
                # For example the kernel of a Dense after quantize().
                yield Unprunable(path, "its weight is not a plain float variable")
        return
    kind = _known_class(layer)
    if kind is None:
        # A wrapper owns masks and thresholds; the kernel is the wrapped layer's.
        if _owns_weights(layer) and not _is_tfmot_wrapper(layer):
            yield Unprunable(path, _reason(layer))
        return
    for attribute in _KERNELS[kind]:
        # `kernel` of an unbuilt Keras 3 layer is a property that raises AttributeError.
        variable = _base_of(layer, attribute)
        if variable is None:
            variable = getattr(layer, attribute, None)
        if variable is None:
            continue
        if not _is_float_variable(variable):
            yield _not_float(path, layer, attribute)
            continue
        yield _weight(path, attribute, variable, layers, owner)
    if not layer.built:
        yield Unprunable(path, "it is not built: the model never calls it")


def _not_float(path: str, layer: Any, attribute: str) -> Unprunable:
    quantized = quantized_weight(path, layer, attribute)
    if quantized is None:
        return Unprunable(path, f"its {attribute} is not a plain float variable")
    reason = f"its {attribute} is quantized ({layer.quantization_mode}); prune it first"
    return Unprunable(path, reason, quantized)


def _weight(
    path: str, attribute: str, variable: Any, layers: tuple[Any, ...], owner: Any
) -> PrunableWeight:
    layer, kind = layers[-1], _known_class(layers[-1])
    rank = len(variable.shape)
    axes, leading, inputs = tuple(range(rank)), max(0, rank - 2), 1
    if kind in _CONV_TRANSPOSE:
        # Keras stores transposed convolution kernels as (..., outputs, inputs).
        axes = (*axes[:-2], axes[-1], axes[-2])
    elif kind == "EinsumDense" and attribute == "kernel":
        axes, leading, inputs = _einsum_layout(layer.equation)
    return PrunableWeight(
        layer_path=path,
        attribute=attribute,
        variable=variable,
        layers=layers,
        kept_because=_kept_because(kind, layer, owner),
        is_adapted=variable is _base_of(layer, attribute),
        axes=axes,
        leading=leading,
        inputs=inputs,
    )


def _kept_because(kind: str | None, layer: Any, owner: Any) -> str:
    if kind in _DEPTHWISE:
        # Each output channel depends on a handful of weights.
        return "depthwise: too few weights to save much"
    if kind in _EMBEDDINGS and is_index_table(layer, owner):
        return "indexes positions or segments: each of its few rows serves all inputs"
    return ""


def _base_of(layer: Any, attribute: str) -> Any:
    """Return the variable that a LoRA adapter is added to, or `None`."""
    if not getattr(layer, "lora_enabled", False):
        return None
    return getattr(layer, f"_{attribute}", None)


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
        is_known = is_of_keras(base) or is_of_keras_hub(base)
        if is_known and base.__name__ in _KERNELS:
            return base.__name__
    return None


def _reason(layer: Any) -> str:
    name = type(layer).__name__
    if "Normalization" in name:
        return "normalization: pruning it removes whole channels"
    return f"{name} names no prunable weights; define get_prunable_weights() in it"


def _is_tfmot_wrapper(layer: Any) -> bool:
    return any(b.__name__ == "PruneLowMagnitude" for b in type(layer).__mro__)


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
