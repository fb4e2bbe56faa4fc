"""Constants that scale or shift channels, such as those of a normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_OPERATOR = schema.BuiltinOperator
# Operators that combine their inputs value by value.
_ARITHMETIC = {
    _OPERATOR.ADD,
    _OPERATOR.DIV,
    _OPERATOR.MAXIMUM,
    _OPERATOR.MINIMUM,
    _OPERATOR.MUL,
    _OPERATOR.POW,
    _OPERATOR.PRELU,
    _OPERATOR.SQUARED_DIFFERENCE,
    _OPERATOR.SUB,
}
# Operators whose output has the values of their input.
_SAME_VALUES = {
    _OPERATOR.BROADCAST_TO,
    _OPERATOR.CAST,
    _OPERATOR.DENSIFY,
    _OPERATOR.DEQUANTIZE,
    _OPERATOR.EXPAND_DIMS,
    _OPERATOR.QUANTIZE,
    _OPERATOR.RESHAPE,
    _OPERATOR.TRANSPOSE,
}


def channel_factors(model: Any, graph: Any) -> set[int]:
    """Return the indices of the tensors that are only added, multiplied and the like.

    Only vectors are among them, whatever their number of dimensions: a table of
    positions is added, too, but it is a weight.

    Args:
        model: A .tflite file.
        graph: One of its graphs.
    """
    read, elsewhere = set[int](), set(_numbers(graph.OutputsAsNumpy()))
    # Backwards, so that the use of an output is known before that of the inputs.
    for number in reversed(range(graph.OperatorsLength())):
        operator = graph.Operators(number)
        kind = _kind(model, operator)
        inputs = _numbers(operator.InputsAsNumpy())
        outputs = _numbers(operator.OutputsAsNumpy())
        read |= inputs
        passes_on = kind in _SAME_VALUES and not outputs & elsewhere
        if kind not in _ARITHMETIC and not passes_on:
            elsewhere |= inputs
    return {index for index in read - elsewhere if _is_vector(graph.Tensors(index))}


def _kind(model: Any, operator: Any) -> int:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Old files have only the deprecated field, new ones the larger of both.
    return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())


def _numbers(indices: Any) -> set[int]:
    # Without any the reader returns 0; an index of -1 stands for one left out.
    return (
        {int(i) for i in np.atleast_1d(indices) if i >= 0}
        if np.ndim(indices)
        else set()
    )


def _is_vector(tensor: Any) -> bool:
    return sum(size > 1 for size in tensor.ShapeAsNumpy().tolist()) <= 1
