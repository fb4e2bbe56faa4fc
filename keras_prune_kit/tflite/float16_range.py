"""Constants beyond the range of float16, such as the -1e9 of a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    Operator,
    has_external_data,
    indices,
    kind,
    pack,
    unpack,
)
from keras_prune_kit.tflite.shrinking.unused import drop_unused

_LARGEST = np.finfo(np.float16).max


def restore_large(content: bytes, full: Callable[[], bytes]) -> bytes:
    """Return a file that stores constants beyond the range of float16 in float32.

    The converter clips them to 65504. That changes a mean of 2e5, and also a mask of
    -1e9 if it covers a whole row: scores are lost in -1e9, but not in -65504.

    Args:
        content: A .tflite file with weights in float16.
        full: Returns the same file in float32.

    Returns:
        The corrected file; the same one if it needs no change, is above 2 GB, or its
        operators do not match those of the float32 file.
    """
    model = unpack(content)
    if has_external_data(model):
        return content
    graph = model.subgraphs[0]
    widened = {
        int(operator.outputs[0]): operator
        for operator in graph.operators
        if _is_too_large(model, graph, operator)
    }
    if not widened:
        return content
    whole = unpack(full())
    # Apart from those that widen constants, operators and their order should be
    # those of the float file.
    halves = [item for item in graph.operators if not _is_half(model, graph, item)]
    floats = whole.subgraphs[0].operators
    if [kind(model, item) for item in halves] != [kind(whole, item) for item in floats]:
        return content
    for half, other in zip(halves, floats, strict=True):
        for index, place in zip(
            indices(half.inputs), indices(other.inputs), strict=True
        ):
            if index in widened:
                data = whole.buffers[whole.subgraphs[0].tensors[place].buffer].data
                model.buffers.append(schema.BufferT(data))
                graph.tensors[index].buffer = len(model.buffers) - 1
                graph.operators.remove(widened.pop(index))
    drop_unused(model)
    return pack(model)


def _is_half(model: Any, graph: Any, operator: Any) -> bool:
    """Return True if an operator converts a float16 tensor to float32."""
    tensor = graph.tensors[int(operator.inputs[0])]
    return (
        kind(model, operator) == Operator.DEQUANTIZE
        and tensor.type == schema.TensorType.FLOAT16
    )


def _is_too_large(model: Any, graph: Any, operator: Any) -> bool:
    if not _is_half(model, graph, operator):
        return False
    tensor = graph.tensors[int(operator.inputs[0])]
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.sparsity is not None:
        return False
    # At the limit counts, as that is where the converter clips to.
    return bool((np.abs(np.asarray(data).view("<f2")) >= _LARGEST).any())
