"""Constants that are no weights: biases, scales, slopes, what a loop begins with."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

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
# What these read is no weight for that: a loop reads its first state.
_NO_WEIGHTS = {*_ARITHMETIC, _OPERATOR.WHILE}
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
# Operators of products and sums, whose outputs are on the last axis.
_PRODUCTS = {
    _OPERATOR.BATCH_MATMUL,
    _OPERATOR.CONV_2D,
    _OPERATOR.DEPTHWISE_CONV_2D,
    _OPERATOR.FULLY_CONNECTED,
    _OPERATOR.TRANSPOSE_CONV,
}


class _Operator(NamedTuple):
    kind: int
    inputs: set[int]  # Indices of tensors.
    outputs: set[int]


def channel_factors(model: Any, graph: Any) -> set[int]:
    """Return the indices of the tensors that only scale or shift what passes.

    They are only added, multiplied and the like, or are what a loop begins with. Most
    are vectors, whatever their number of dimensions: a table of positions is added,
    too, but it is a weight. Tables are a PReLU's slopes and biases (`_biases`).

    Args:
        model: A .tflite file.
        graph: One of its graphs.
    """
    operators = [
        _Operator(
            _kind(model, operator),
            _numbers(operator.InputsAsNumpy()),
            _numbers(operator.OutputsAsNumpy()),
        )
        for operator in map(graph.Operators, range(graph.OperatorsLength()))
    ]
    read, elsewhere = set[int](), set(_numbers(graph.OutputsAsNumpy()))
    tables = _biases(operators, graph)
    # Backwards, so that the use of an output is known before that of the inputs.
    for kind, inputs, outputs in reversed(operators):
        read |= inputs
        passes_on = kind in _SAME_VALUES and not outputs & elsewhere
        if kind == _OPERATOR.PRELU or (passes_on and outputs & tables):
            tables |= inputs
        if kind not in _NO_WEIGHTS and not passes_on:
            elsewhere |= inputs
    vectors = {index for index in read if _is_vector(_sizes(graph, index))}
    return (vectors | tables) - elsewhere


def _biases(operators: list[_Operator], graph: Any) -> set[int]:
    """Return the tensors that are added to a product, with a value for each output.

    The bias of an attention has a row for each head, and is added after a reshape.
    """
    counts: dict[int, int] = {}  # Of the outputs of the product that a tensor holds.
    found = set[int]()
    for kind, inputs, outputs in operators:
        if kind in _PRODUCTS:
            counts |= {i: sizes[-1] for i in outputs if (sizes := _sizes(graph, i))}
        elif kind in _SAME_VALUES:
            held = [counts[index] for index in inputs if index in counts]
            counts |= dict.fromkeys(outputs, held[0]) if held else {}
        elif kind == _OPERATOR.ADD:
            sums = {counts[index] for index in inputs if index in counts}
            found |= {i for i in inputs if math.prod(_sizes(graph, i)) in sums}
    return found


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


def _is_vector(sizes: list[int]) -> bool:
    return sum(size > 1 for size in sizes) <= 1


def _sizes(graph: Any, index: int) -> list[int]:
    shape = graph.Tensors(index).ShapeAsNumpy()
    return shape.tolist() if np.ndim(shape) else []  # Without any the reader returns 0.
