"""Removal of reshapes that the next operator does itself."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import Operator, indices, kind

_INTEGERS = (schema.TensorType.INT8, schema.TensorType.INT16)


def drop_flattening(model: Any) -> None:
    """Let fully connected layers of an unpacked file read what was flattened for them.

    FULLY_CONNECTED takes inputs of any rank as rows of as many values as its kernel
    has inputs, so a RESHAPE before it, such as Keras' `Flatten`, does nothing. Only in
    integers: weights of 8 bits on float inputs have a step for each row, and XNNPACK
    takes the rows of the input as it is.

    Source: the definition of the operator in the schema of TensorFlow Lite.
    """
    for graph in model.subgraphs:
        users: dict[int, list[Any]] = defaultdict(list)
        for operator in graph.operators:
            for index in indices(operator.inputs):
                users[index].append(operator)
        for operator in list(graph.operators):
            if kind(model, operator) == Operator.RESHAPE:
                source, result = int(operator.inputs[0]), int(operator.outputs[0])
                takers = users[result]
                if _is_idle(model, graph, source, result, takers):
                    graph.operators.remove(operator)
                    for taker in takers:
                        rest = indices(taker.inputs)[1:]
                        taker.inputs = np.array([source, *rest], np.int32)


def _is_idle(
    model: Any, graph: Any, source: int, result: int, takers: list[Any]
) -> bool:
    """Return True if a reshape changes nothing for those that take its result."""
    before, after = graph.tensors[source], graph.tensors[result]
    return (
        bool(takers)
        and result not in indices(graph.outputs)
        and before.type == after.type
        and after.type in _INTEGERS
        and _step(before) == _step(after)
        and all(_flattens(model, taker, result) for taker in takers)
    )


def _flattens(model: Any, operator: Any, index: int) -> bool:
    """Return True if an operator reads a tensor as rows, whatever its shape."""
    if kind(model, operator) != Operator.FULLY_CONNECTED:
        return False
    data, *others = indices(operator.inputs)
    keeps_rank = operator.builtinOptions is None or operator.builtinOptions.keepNumDims
    return data == index and index not in others and not keeps_rank


def _step(tensor: Any) -> tuple[list[float], list[int]] | None:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None:
        return None
    return quantization.scale.tolist(), indices(quantization.zeroPoint)
