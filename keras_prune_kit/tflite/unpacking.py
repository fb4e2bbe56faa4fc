"""Weights of 4 bits in a byte each, for operators that would unpack them every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.constants import pack_values, unpack_values
from keras_prune_kit.tflite.shrinking.packing import (
    Operator,
    has_external_data,
    indices,
    kind,
    pack,
    tensors,
    unpack,
)

_PACKED, _WHOLE = schema.TensorType.INT4, schema.TensorType.INT8
# LiteRT unpacks their weights in each run, and reads those of FULLY_CONNECTED packed.
_UNPACKING = {Operator.CONV_2D, Operator.DEPTHWISE_CONV_2D}


def with_whole_bytes(content: bytes) -> bytes:
    """Return a file whose convolutions have their weights of 4 bits in a byte each.

    Args:
        content: A .tflite file.

    Returns:
        A file with the same values; the same file if it has no such weights.
    """
    model = unpack(content)
    kernels = [] if has_external_data(model) else list(_packed_kernels(model))
    for tensor in kernels:
        store_in_bytes(model, tensor)
    return pack(model) if kernels else content


def store_in_bytes(model: Any, tensor: Any) -> None:
    """Store a constant of 4 bits, in an unpacked file, in a byte for each value."""
    buffer = model.buffers[tensor.buffer]
    # Without the padding of the last byte.
    values = unpack_values(tensor.type, buffer.data)[: int(np.prod(tensor.shape))]
    buffer.data, tensor.type = pack_values(_WHOLE, values), _WHOLE


def _packed_kernels(model: Any) -> Iterator[Any]:
    """Yield the constants of 4 bits that only convolutions of integers read."""
    shared = Counter(tensor.buffer for tensor in tensors(model))
    for graph in model.subgraphs:
        kernels: set[int] = set()
        others: set[int] = set()
        for operator in graph.operators:
            inputs = indices(operator.inputs)
            # On float inputs the weights of 8 bits would round inputs in another way.
            unpacks = kind(model, operator) in _UNPACKING
            if unpacks and graph.tensors[inputs[0]].type == _WHOLE:
                kernels.add(inputs.pop(1))
            others.update(inputs)
        for index in sorted(kernels - others):
            tensor = graph.tensors[index]
            is_stored = model.buffers[tensor.buffer].data is not None
            if tensor.type == _PACKED and is_stored and shared[tensor.buffer] == 1:
                yield tensor
