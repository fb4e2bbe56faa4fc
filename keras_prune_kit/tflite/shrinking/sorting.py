"""Sorting of the channels between layers, so that similar weights are adjacent."""

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

_LAYERS = (Operator.CONV_2D, Operator.FULLY_CONNECTED)
# Operators that treat all channels alike and do not mix them. A reshape is one of them
# if its last axis is still a multiple of the channels.
_CHANNELWISE = (
    *(Operator.AVERAGE_POOL_2D, Operator.MAX_POOL_2D, Operator.QUANTIZE),
    *(Operator.RELU, Operator.RELU6, Operator.RESHAPE),
)


def sort_channels(model: Any) -> None:
    """Sort the channels between consecutive layers of an unpacked file.

    The outputs of one layer and the inputs of the next get the same new order: by the
    number of nonzero weights. Integer sums do not depend on the order, so the outputs
    stay the same. Float sums do, so float layers are not sorted, nor are layers that
    branch. Weights that produce an unused channel become zero.
    """
    if len(model.subgraphs) > 1:
        return
    chains = _Chains(model)
    # From the end, as clearing an unused channel may make earlier ones unused.
    for operator in reversed(model.subgraphs[0].operators):
        if kind(model, operator) in _LAYERS:
            places = chains.places(operator)
            if places:
                _sort(model, places, _clear_unused(model, places))


@dataclass(frozen=True)
class _Place:
    """The channel axis of a constant, which may repeat the channels several times."""

    tensor: Any
    axis: int


class _Chains:
    """The chains of operators from one layer to the next."""

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

    def places(self, layer: Any) -> list[_Place]:
        """Return all places that depend on the order of a layer's output channels.

        Empty if the order cannot be changed.
        """
        if not self._takes_all(layer):
            return []
        # Kernels have outputs first here and inputs last, depthwise ones channels last.
        places = self._outputs(layer, axis=0)
        channels = places[0].tensor.shape[0]
        operator = self._following(layer, channels)
        while operator is not None and kind(self._model, operator) not in _LAYERS:
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
        places.append(_Place(kernel, axis=len(kernel.shape) - 1))
        has_all = self._takes_all(operator)
        return places if has_all and all(map(self._is_movable, places)) else []

    def _takes_all(self, layer: Any) -> bool:
        """Return True if a layer is not grouped: each output reads all inputs."""
        data, kernel = (self._tensor(index) for index in layer.inputs[:2])
        return kernel.shape[-1] == data.shape[-1]

    def _outputs(self, layer: Any, axis: int) -> list[_Place]:
        kernel, *bias = (self._tensor(i) for i in layer.inputs[1:] if i >= 0)
        return [_Place(kernel, axis), *(_Place(tensor, 0) for tensor in bias)]

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

    def _is_movable(self, place: _Place) -> bool:
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


def _clear_unused(model: Any, places: list[_Place]) -> np.ndarray:
    """Zero the weights of channels for which the next layer has only zeros.

    Returns:
        A bool array `(channels,)`, True for channels that are used.
    """
    *makers, taker = places
    channels = makers[0].tensor.shape[0]
    is_used = _nonzeros(_read(model, taker, channels)) > 0
    for place in makers:
        values = _read(model, place, channels)
        values[~is_used] = 0
        _write(model, place, values, np.arange(channels))
    return is_used


def _sort(model: Any, places: list[_Place], is_used: np.ndarray) -> None:
    kernels = [place for place in places if len(place.tensor.shape) > 1]
    counts = [_nonzeros(_read(model, place, is_used.size)) for place in kernels]
    # Stable, so that sorting a second time changes nothing.
    order = np.sum(counts, axis=0).argsort(kind="stable")
    # The scale of an unused channel has no effect; a repeated one compresses better.
    first_used = order[is_used[order].argmax()]
    steps = np.where(is_used[order], order, first_used)
    for place in places:
        _write(model, place, _read(model, place, is_used.size)[order], steps)


def _nonzeros(values: np.ndarray) -> np.ndarray:
    return np.count_nonzero(values.reshape(len(values), -1), axis=1)


def _read(model: Any, place: _Place, channels: int) -> np.ndarray:
    """Return a copy of the values, with the channel axis first."""
    shape, axis = place.tensor.shape, place.axis
    values = unpack_values(place.tensor.type, model.buffers[place.tensor.buffer].data)
    # Without the padding of packed int4.
    values = values[: int(np.prod(shape))]
    values = values.reshape(*shape[:axis], -1, channels, *shape[axis + 1 :])
    return np.moveaxis(values, axis + 1, 0).copy()


def _write(model: Any, place: _Place, values: np.ndarray, steps: np.ndarray) -> None:
    """Store values shaped as by `_read`; channel i gets the scale of `steps[i]`."""
    tensor, quantization = place.tensor, place.tensor.quantization
    buffer = model.buffers[tensor.buffer]
    buffer.data = pack_values(tensor.type, np.moveaxis(values, 0, place.axis + 1))
    if len(quantization.scale) > 1 and quantization.quantizedDimension == place.axis:
        quantization.scale = quantization.scale[steps]
        quantization.zeroPoint = quantization.zeroPoint[steps]
