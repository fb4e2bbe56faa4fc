"""Classification of layers by their role in a quantized graph."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import keras

from keras_prune_kit import _keras
from keras_prune_kit._keras import Call
from keras_prune_kit.quantization.activations import activation_of, fuses, has_int8
from keras_prune_kit.quantization.int8_kernels import einsum_sizes, stages_of


class Kind(enum.Enum):
    """The role of a layer in a quantized graph.

    Attributes:
        KERNEL: Has kernels to round.
        SCALE: Scales and shifts each channel.
        OWN_RANGE: Computes in int8 and needs a range for its output.
        SAME_RANGE: Its output has the range of its input.
        MODEL: A nested model.
        FLOAT: Stays float.
    """

    KERNEL = enum.auto()
    SCALE = enum.auto()
    OWN_RANGE = enum.auto()
    SAME_RANGE = enum.auto()
    MODEL = enum.auto()
    FLOAT = enum.auto()


@dataclass(frozen=True)
class Verdict:
    """The kind of a layer, and the reason if it stays float."""

    kind: Kind
    reason: str = ""


# Classes by name, as the operations of keras.ops are not public classes.
_NOTHING_IN_INFERENCE = {
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization", "RandomFlip"),
    *("RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast"),
    "RandomBrightness",
}
_SAME_RANGE = {
    *_NOTHING_IN_INFERENCE,
    # `RandomCrop` is no identity: in inference it resizes and crops.
    *("Flatten", "Reshape", "Permute", "RepeatVector", "RandomCrop"),
    *("MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("AveragePooling1D", "AveragePooling2D", "ZeroPadding1D", "ZeroPadding2D"),
    *("Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D"),
    "Transpose",  # From here on: operations of keras.ops.
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
    """Return the verdict on a call, without regard to its producers and consumers."""
    operation, name = call.operation, type(call.operation).__name__
    if isinstance(operation, keras.Model):
        return _on_model(operation)
    if not is_of_keras(operation):
        return _float(
            f"{name} is not a built-in Keras layer, so its operators are unknown"
        )
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
        return _float(".tflite computes softmax over the last axis only")
    return _float(f".tflite has no int8 operator for {name}")


def is_of_keras(operation: Any) -> bool:
    """Return True if it is a built-in layer or operation of Keras."""
    return type(operation).__module__.startswith("keras.")


def is_max_pooling(operation: Any) -> bool:
    """Return True if rounding before it and rounding after it are equivalent."""
    return type(operation).__name__ in _MAX_POOLING


def does_nothing(operation: Any) -> bool:
    """Return True if it is the identity in inference."""
    is_linear = activation_of(operation) is keras.activations.linear
    return is_linear or type(operation).__name__ in _NOTHING_IN_INFERENCE


def takes_and_gives_one_range(operation: Any) -> bool:
    """Return True if inputs and output share one scale, so a fake-quant must follow.

    The operator only selects or copies values. Unless a fake-quant follows directly,
    the converter gives all inputs the range of the first and clips the others to it.
    """
    return type(operation).__name__ in _ONE_RANGE


def narrows(operation: Any) -> bool:
    """Return True if the output's range may not cover the inputs, which share it."""
    return type(operation).__name__ in ("Maximum", "Minimum")


def mixes(call: Call) -> bool:
    """Return True if a call that stays float may combine several tensors.

    The converter would quantize it if one of the tensors has a range.
    """
    return not is_of_keras(call.operation) or len(set(map(id, call.inputs))) > 1


def averages(operation: Any) -> bool:
    """Return True if it averages values, so a fake-quant must come directly before it.

    Its input and output share one scale. Unless a fake-quant comes directly before it,
    the converter uses the range of its consumer and clips the input to it before the
    averaging, as if a `ReLU` that follows came first.
    """
    name = type(operation).__name__
    if name == "UpSampling2D":
        return operation.interpolation != "nearest"
    return name in _AVERAGE_POOLING


def adds_dimension(operation: Any) -> bool:
    """Return True if it is a 1D average pooling, which .tflite computes as a 2D one."""
    return type(operation).__name__ == "AveragePooling1D"


def is_fused_activation(operation: Any) -> bool:
    """Return True if the converter fuses it into its producer, as an activation."""
    if type(operation).__name__ in _FUSED_OPERATIONS:
        return True
    activation = activation_of(operation)
    return activation is not None and fuses(activation)


def takes_in_activation(operation: Any) -> bool:
    """Return True if the converter fuses a following activation into it."""
    if type(operation).__name__ in ("Add", "BatchNormalization", "Rescaling"):
        return True
    stages = stages_of(operation)
    return bool(stages) and stages[-1].fuses and is_linear(operation)


def takes_in_normalization(operation: Any) -> bool:
    """Return True if a following normalization can be folded into its kernel."""
    is_einsum = type(operation) is keras.layers.EinsumDense
    # With several output axes, each channel of the last has many kernel columns.
    return bool(stages_of(operation)) and is_linear(operation) and not is_einsum


def is_linear(operation: Any) -> bool:
    """Return True if a layer with kernels has a linear activation."""
    return operation.activation is keras.activations.linear


def _float(reason: str) -> Verdict:
    return Verdict(Kind.FLOAT, reason)


def _on_model(model: Any) -> Verdict:
    if _keras.is_graph(model):
        return Verdict(Kind.MODEL)
    return _float("a subclassed model cannot be copied layer by layer")


def _on_kernel(layer: Any) -> Verdict:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return _float(".tflite needs data_format='channels_last'")
    if getattr(layer, "lora_enabled", False):
        return _float("its kernel is computed from several weights (LoRA)")
    if type(layer) is keras.layers.EinsumDense and einsum_sizes(layer) is None:
        return _float(f"'{layer.equation}' is not a matrix product over the last axes")
    return Verdict(Kind.KERNEL)


def _on_scale(layer: Any, inputs: Any) -> Verdict:
    rank = len(inputs.shape)
    if "float" not in inputs.dtype:
        return _float("its input is not a float tensor")
    # The scale is a depthwise convolution, which takes four axes.
    if not 2 <= rank <= 4 or getattr(layer, "axis", -1) not in (-1, rank - 1):
        return _float(".tflite scales only the last axis of a tensor of rank 2 to 4")
    return Verdict(Kind.SCALE)
