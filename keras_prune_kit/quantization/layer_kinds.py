"""What each layer is to a quantized graph."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import keras

from keras_prune_kit import _keras
from keras_prune_kit.quantization.activations import activation_of, fuses, has_int8
from keras_prune_kit.quantization.call_graph import Call
from keras_prune_kit.quantization.int8_kernels import einsum_sizes, stages_of


class Kind(enum.Enum):
    """The part that a layer plays.

    Attributes:
        KERNEL: Has kernels that are rounded.
        SCALE: Scales and shifts each channel.
        OWN_RANGE: Computes in int8 and needs a range for what it gives.
        SAME_RANGE: Gives values in the range of what it takes.
        MODEL: A model in the model.
        FLOAT: Stays as it is.
    """

    KERNEL = enum.auto()
    SCALE = enum.auto()
    OWN_RANGE = enum.auto()
    SAME_RANGE = enum.auto()
    MODEL = enum.auto()
    FLOAT = enum.auto()


@dataclass(frozen=True)
class Verdict:
    """The kind of a layer, and why if it stays float."""

    kind: Kind
    reason: str = ""


_NOTHING_IN_INFERENCE = {
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization", "RandomFlip"),
    *("RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast"),
    "RandomBrightness",
}
_SAME_RANGE = {
    *_NOTHING_IN_INFERENCE,
    *("Flatten", "Reshape", "Permute", "RepeatVector", "RandomCrop"),
    *("MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("AveragePooling1D", "AveragePooling2D", "ZeroPadding1D", "ZeroPadding2D"),
    *("Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D"),
    "Transpose",  # The rest are operations of keras.ops.
    "Squeeze",
    "ExpandDims",
}
_OWN_RANGE = {
    *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate", "PReLU"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "Embedding"),
    *("Mean", "Relu", "Relu6"),
}
_ONE_RANGE = ("Concatenate", "Maximum", "Minimum", "Embedding")
_MAX_POOLING = ("MaxPooling1D", "MaxPooling2D")
_AVERAGE_POOLING = ("AveragePooling1D", "AveragePooling2D")
_FUSED_OPERATIONS = ("Relu", "Relu6")


def verdict_on(call: Call) -> Verdict:
    """The kind of what is called, by itself alone."""
    operation, name = call.operation, type(call.operation).__name__
    if isinstance(operation, keras.Model):
        return _on_model(operation)
    if not is_of_keras(operation):
        return _float(f"{name} is no layer of Keras, so what it computes is not known")
    if stages_of(operation):
        return _on_kernel(operation)
    if name in ("BatchNormalization", "Rescaling"):
        return _on_scale(operation, call.inputs[0])
    activation = activation_of(operation)
    if name in _SAME_RANGE or activation is keras.activations.linear:
        return Verdict(Kind.SAME_RANGE)
    if name in _OWN_RANGE or (activation is not None and has_int8(activation)):
        return Verdict(Kind.OWN_RANGE)
    if name == "Softmax":
        return _float(".tflite has the softmax over the last axis alone")
    return _float(f".tflite has no int8 operator for {name}")


def is_of_keras(operation: Any) -> bool:
    """Whether it is a layer or operation of Keras itself."""
    return type(operation).__module__.startswith("keras.")


def is_max_pooling(operation: Any) -> bool:
    """Whether rounding before it and after it are the same thing."""
    return type(operation).__name__ in _MAX_POOLING


def does_nothing(operation: Any) -> bool:
    """Whether it gives what it takes in inference."""
    is_linear = activation_of(operation) is keras.activations.linear
    return is_linear or type(operation).__name__ in _NOTHING_IN_INFERENCE


def takes_and_gives_one_range(operation: Any) -> bool:
    """Whether rounding has to come right behind it.

    Its operator computes nothing. Where there is no range right behind, the converter
    gives all that it takes the range of the first, and cuts off what goes beyond.
    """
    return type(operation).__name__ in _ONE_RANGE


def narrows(operation: Any) -> bool:
    """Whether the one range that it takes and gives may lack parts of what it takes."""
    return type(operation).__name__ in ("Maximum", "Minimum")


def mixes(call: Call) -> bool:
    """Whether what stays float may bring several tensors together.

    The converter would quantize that where it finds a range for one of them.
    """
    return not is_of_keras(call.operation) or len(set(map(id, call.inputs))) > 1


def averages(operation: Any) -> bool:
    """Whether it mixes neighbours, so that rounding has to come right before it.

    Its operator has one range for what it takes and what it gives. Where there is none
    right before it, the converter takes that of what comes behind, and cuts off what
    goes beyond before it is averaged: a `ReLU` behind it would come first.
    """
    name = type(operation).__name__
    if name == "UpSampling2D":
        return operation.interpolation != "nearest"
    return name in _AVERAGE_POOLING


def adds_dimension(operation: Any) -> bool:
    """Whether it averages over one dimension, which .tflite does over two."""
    return type(operation).__name__ == "AveragePooling1D"


def is_fused_activation(operation: Any) -> bool:
    """Whether it becomes a part of the operator before it."""
    if type(operation).__name__ in _FUSED_OPERATIONS:
        return True
    activation = activation_of(operation)
    return activation is not None and fuses(activation)


def takes_in_activation(operation: Any) -> bool:
    """Whether an activation behind it becomes a part of it."""
    if type(operation).__name__ in ("Add", "BatchNormalization", "Rescaling"):
        return True
    stages = stages_of(operation)
    return bool(stages) and stages[-1].fuses and is_linear(operation)


def takes_in_normalization(operation: Any) -> bool:
    """Whether a normalization behind it becomes a part of its kernel."""
    is_einsum = type(operation) is keras.layers.EinsumDense
    return bool(stages_of(operation)) and is_linear(operation) and not is_einsum


def is_linear(operation: Any) -> bool:
    """Whether a layer with kernels has no activation of its own."""
    return operation.activation is keras.activations.linear


def _float(reason: str) -> Verdict:
    return Verdict(Kind.FLOAT, reason)


def _on_model(model: Any) -> Verdict:
    if _keras.is_graph(model):
        return Verdict(Kind.MODEL)
    return _float("a model of a class of its own cannot be taken apart")


def _on_kernel(layer: Any) -> Verdict:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return _float(".tflite has channels last")
    if getattr(layer, "lora_enabled", False):
        return _float("its kernel is made of several (LoRA)")
    if type(layer) is keras.layers.EinsumDense and einsum_sizes(layer) is None:
        return _float(f"'{layer.equation}' is no matrix product of the last axes")
    return Verdict(Kind.KERNEL)


def _on_scale(layer: Any, inputs: Any) -> Verdict:
    rank = len(inputs.shape)
    if "float" not in inputs.dtype:
        return _float("it takes integers")
    if not 2 <= rank <= 4 or getattr(layer, "axis", -1) not in (-1, rank - 1):
        return _float(".tflite scales the last of two to four axes")
    return Verdict(Kind.SCALE)
