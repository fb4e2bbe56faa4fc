"""Floats that become integers, such as ids in a column of a table.

In the steps of an integer file most ids are those of others, and a 1.0 that has become
0.99999 is cut off to 0.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    SHAPING,
    Operator,
    indices,
    kind,
    pack,
    producers,
    unpack,
)

_WHOLE = (schema.TensorType.INT32, schema.TensorType.INT64)
# What else numbers pass on their way from an input to where they become integers.
_KEEPING_NUMBERS = {
    *SHAPING,
    *(Operator.SPLIT, Operator.CONCATENATION, Operator.PACK, Operator.FLOOR),
    *(Operator.ROUND, Operator.CEIL, Operator.ADD, Operator.SUB, Operator.MUL),
    *(Operator.DIV, Operator.MINIMUM, Operator.MAXIMUM, Operator.FLOOR_MOD),
}


def keep_numbers(content: bytes) -> bytes:
    """The same file without ranges for floats that become integers.

    What has no range stays float.

    Args:
        content: A float .tflite file with the ranges of a calibration.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        makers = producers(graph)
        waiting = [
            index
            for operator in graph.operators
            if kind(model, operator) == Operator.CAST
            and graph.tensors[indices(operator.outputs)[0]].type in _WHOLE
            for index in indices(operator.inputs)
        ]
        seen: set[int] = set()
        while waiting:
            index = waiting.pop()
            tensor, maker = graph.tensors[index], makers.get(index)
            if index in seen or tensor.type != schema.TensorType.FLOAT32:
                continue
            seen.add(index)
            if tensor.quantization is not None:
                tensor.quantization.min = tensor.quantization.max = None
            if maker is not None and kind(model, maker) in _KEEPING_NUMBERS:
                waiting += indices(maker.inputs)
    return pack(model)


def take_numbers_as_floats(content: bytes) -> bytes:
    """The same file, in which what becomes an integer is taken from floats.

    A column that is taken out of a table has the steps of the table, whatever range it
    has itself: it is taken out of the floats once more.

    Args:
        content: A quantized .tflite file.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for operator in list(graph.operators):
            makers = producers(graph)
            is_cast = kind(model, operator) == Operator.CAST
            if not is_cast or graph.tensors[operator.outputs[0]].type not in _WHOLE:
                continue
            chain = _chain_to_floats(model, makers, operator.inputs[0])
            if chain:
                _repeat(graph, chain, operator)
    return pack(model)


def _chain_to_floats(model: Any, makers: dict[int, Any], index: int) -> list[Any]:
    """The operators from the one that quantizes to the one that gives floats again.

    Empty if there is more between them than shaping.
    """
    last = makers.get(index)
    if last is None or kind(model, last) != Operator.DEQUANTIZE:
        return []
    chain = [last]
    while kind(model, chain[0]) != Operator.QUANTIZE:
        maker = makers.get(chain[0].inputs[0])
        is_known = maker is not None and kind(model, maker) in (
            *SHAPING,
            Operator.QUANTIZE,
        )
        if not is_known or len(maker.outputs) != 1:
            return []
        chain.insert(0, maker)
    return chain


def _repeat(graph: Any, chain: list[Any], cast: Any) -> None:
    """Shape the floats themselves, in front of what makes integers of them."""
    source, place = chain[0].inputs[0], graph.operators.index(cast)
    for operator in chain[1:-1]:
        tensor = copy.copy(graph.tensors[operator.outputs[0]])
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
        graph.tensors.append(tensor)
        again = copy.copy(operator)
        again.inputs, again.outputs = operator.inputs.copy(), operator.outputs.copy()
        again.inputs[0], again.outputs[0] = source, len(graph.tensors) - 1
        graph.operators.insert(place, again)
        source, place = again.outputs[0], place + 1
    cast.inputs = np.array([source], np.int32)
