"""Float tensors that are cast to integers, such as ids in a column of a table.

Quantization would map different ids to one value, and turn a 1.0 into 0.99999, which a
cast truncates to 0.
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
# Operators through which values may pass between an input and the cast to integers.
_KEEPING_NUMBERS = {
    *SHAPING,
    *(Operator.SPLIT, Operator.CONCATENATION, Operator.PACK, Operator.FLOOR),
    *(Operator.ROUND, Operator.CEIL, Operator.ADD, Operator.SUB, Operator.MUL),
    *(Operator.DIV, Operator.MINIMUM, Operator.MAXIMUM, Operator.FLOOR_MOD),
}


def keep_numbers(content: bytes) -> bytes:
    """Return a file without calibration ranges for floats that are cast to integers.

    The converter keeps tensors without a range in float.

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
    """Return a file whose casts to integers read float values, not quantized ones.

    A column sliced out of a table is quantized with the scale of the whole table, even
    if it has no range: the slicing is repeated on the float table.

    Args:
        content: A quantized .tflite file.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        # A copy of the list, to which `_repeat` adds operators.
        for operator in list(graph.operators):
            # Anew for each cast, for the same reason.
            makers = producers(graph)
            is_cast = kind(model, operator) == Operator.CAST
            if not is_cast or graph.tensors[operator.outputs[0]].type not in _WHOLE:
                continue
            chain = _chain_to_floats(model, makers, operator.inputs[0])
            if chain:
                _repeat(graph, chain, operator)
    return pack(model)


def _chain_to_floats(model: Any, makers: dict[int, Any], index: int) -> list[Any]:
    """Return the operators from QUANTIZE to the DEQUANTIZE that produces a tensor.

    Empty if others than shaping operators are between the two.
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
    """Repeat the shaping operators of a chain on its float input, before a cast."""
    source, place = chain[0].inputs[0], graph.operators.index(cast)
    for operator in chain[1:-1]:
        tensor = copy.copy(graph.tensors[operator.outputs[0]])
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
        graph.tensors.append(tensor)
        # A copy of an operator shares its arrays, so these are copied one by one.
        again = copy.copy(operator)
        again.inputs, again.outputs = operator.inputs.copy(), operator.outputs.copy()
        again.inputs[0], again.outputs[0] = source, len(graph.tensors) - 1
        graph.operators.insert(place, again)
        source, place = again.outputs[0], place + 1
    cast.inputs = np.array([source], np.int32)
