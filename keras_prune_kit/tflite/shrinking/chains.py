"""The chains of layers whose channels may change their order, and their constants."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.constants import pack_values, unpack_values
from keras_prune_kit.tflite.shrinking.packing import Operator, indices, kind

_KERNEL_TYPES = (schema.TensorType.INT8, schema.TensorType.INT4)
_BIAS_TYPES = (schema.TensorType.INT32, schema.TensorType.INT64)
_ACTIVATION_TYPES = (schema.TensorType.INT8, schema.TensorType.INT16)

LAYERS = (Operator.CONV_2D, Operator.FULLY_CONNECTED)
# Operators that treat all channels alike and do not mix them. A reshape is one of them
# if its last axis is still a multiple of the channels.
_CHANNELWISE = (
    *(Operator.AVERAGE_POOL_2D, Operator.MAX_POOL_2D, Operator.QUANTIZE),
    *(Operator.RELU, Operator.RELU6, Operator.RESHAPE),
)


@dataclass(frozen=True)
class Place:
    """The channel axis of a constant, which may repeat the channels several times."""

    tensor: Any
    axis: int


class Chains:
    """The chains of operators from one layer to the next.

    Args:
        model: An unpacked file of one subgraph.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = model.subgraphs[0]
        self._users: dict[int, list[Any]] = defaultdict(list)
        for operator in self._graph.operators:
            for index in indices(operator.inputs):
                self._users[index].append(operator)
        # By buffer, as several tensors may share one.
        self._reads = Counter(
            self._graph.tensors[index].buffer
            for index, users in self._users.items()
            for _ in users
        )

    def places(self, layer: Any) -> list[Place]:
        """Return all places that depend on the order of a layer's output channels.

        Empty if the order cannot be changed.
        """
        if not self._takes_all(layer):
            return []
        # Kernels have outputs first here and inputs last, depthwise ones channels last.
        places = self._outputs(layer, axis=0)
        channels = places[0].tensor.shape[0]
        operator = self._following(layer, channels)
        while operator is not None and kind(self._model, operator) not in LAYERS:
            number = kind(self._model, operator)
            if number == Operator.DEPTHWISE_CONV_2D:
                kernel, *bias = self._outputs(operator, axis=3)
                if kernel.tensor.shape[3] != channels:  # A depth multiplier.
                    return []
                places += [kernel, *bias]
            elif number not in _CHANNELWISE:
                return []
            operator = self._following(operator, channels)
        if operator is None:
            return []
        kernel = self._tensor(operator.inputs[1])
        places.append(Place(kernel, axis=len(kernel.shape) - 1))
        is_whole = self._takes_all(operator) and kernel.shape[-1] % channels == 0
        return places if is_whole and all(map(self._is_movable, places)) else []

    def _takes_all(self, layer: Any) -> bool:
        """Return True if a layer is not grouped: each output reads all inputs."""
        if kind(self._model, layer) == Operator.FULLY_CONNECTED:
            return True  # Of an input of any shape, as after a flatten.
        data, kernel = (self._tensor(index) for index in layer.inputs[:2])
        return kernel.shape[-1] == data.shape[-1]

    def _outputs(self, layer: Any, axis: int) -> list[Place]:
        kernel, *bias = (self._tensor(i) for i in layer.inputs[1:] if i >= 0)
        return [Place(kernel, axis), *(Place(tensor, 0) for tensor in bias)]

    def _following(self, operator: Any, channels: int) -> Any:
        """Return the only consumer of an output; None if the chain ends there."""
        index = int(operator.outputs[0])
        users, tensor = self._users[index], self._tensor(index)
        if len(users) != 1 or index in indices(self._graph.outputs):
            return None
        if users[0].inputs[0] != index or tensor.type not in _ACTIVATION_TYPES:
            return None
        # After a flatten, the last axis repeats the channels.
        return users[0] if tensor.shape[-1] % channels == 0 else None

    def _is_movable(self, place: Place) -> bool:
        """Return True if it is a symmetric integer constant that is read only once."""
        tensor = place.tensor
        types = _KERNEL_TYPES if len(tensor.shape) > 1 else _BIAS_TYPES
        return (
            self._model.buffers[tensor.buffer].data is not None
            and self._reads[tensor.buffer] == 1
            and tensor.type in types
            and tensor.sparsity is None
            and tensor.quantization.details is None
            and not tensor.quantization.zeroPoint.any()
        )

    def _tensor(self, index: int) -> Any:
        return self._graph.tensors[index]


def read(model: Any, place: Place, channels: int) -> np.ndarray:
    """Return a copy of the values, with the channel axis first."""
    shape, axis = place.tensor.shape, place.axis
    values = unpack_values(place.tensor.type, model.buffers[place.tensor.buffer].data)
    # Without the padding of packed int4.
    values = values[: int(np.prod(shape))]
    values = values.reshape(*shape[:axis], -1, channels, *shape[axis + 1 :])
    return np.moveaxis(values, axis + 1, 0).copy()


def write(model: Any, place: Place, values: np.ndarray, steps: np.ndarray) -> None:
    """Store values shaped as by `read`; channel i gets the scale of `steps[i]`."""
    tensor, quantization = place.tensor, place.tensor.quantization
    buffer = model.buffers[tensor.buffer]
    buffer.data = packed(place, values)
    if len(quantization.scale) > 1 and quantization.quantizedDimension == place.axis:
        quantization.scale = quantization.scale[steps]
        quantization.zeroPoint = quantization.zeroPoint[steps]


def packed(place: Place, values: np.ndarray) -> np.ndarray:
    """Return the bytes of values shaped as by `read`."""
    return pack_values(place.tensor.type, np.moveaxis(values, 0, place.axis + 1))
