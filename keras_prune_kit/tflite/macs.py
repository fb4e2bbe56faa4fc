"""The multiplications of a .tflite file."""

from __future__ import annotations

import math
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_OPS = schema.BuiltinOperator


def macs(content: bytes) -> int:
    """Return the multiply-accumulate operations of one run of one sample.

    Convolutions, fully connected layers, products of matrices and fused LSTMs count.
    Sizes that are not fixed count as 1, and the body of a loop counts once.

    Args:
        content: A .tflite file.

    Source: the definitions of the operators in TensorFlow Lite's kernels.
    """
    model = schema.Model.GetRootAs(content, 0)
    total = 0
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for number in range(graph.OperatorsLength()):
            total += _macs_of(model, graph, graph.Operators(number))
    return total


def _macs_of(model: Any, graph: Any, operator: Any) -> int:
    code = model.OperatorCodes(operator.OpcodeIndex())
    kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]

    def shape(index: int) -> list[int]:
        return _shape(graph, inputs[index])

    def outputs() -> list[int]:
        return _shape(graph, operator.Outputs(0))

    if kind == _OPS.CONV_2D:
        return math.prod(outputs()) * math.prod(shape(1)[1:])
    if kind == _OPS.CONV_3D:
        return math.prod(outputs()) * math.prod(shape(1)[:-1])
    if kind == _OPS.DEPTHWISE_CONV_2D:
        return math.prod(outputs()) * math.prod(shape(1)[1:3])
    if kind == _OPS.FULLY_CONNECTED:
        return math.prod(outputs()) * shape(1)[-1]
    if kind == _OPS.TRANSPOSE_CONV:
        # Its inputs are the output's shape, the kernel and the data.
        return math.prod(shape(2)) * math.prod(shape(1)[:-1])
    if kind == _OPS.BATCH_MATMUL:
        options = schema.BatchMatMulOptionsT()
        table = operator.BuiltinOptions()
        if table is not None:
            parsed = schema.BatchMatMulOptions()
            parsed.Init(table.Bytes, table.Pos)
            options = schema.BatchMatMulOptionsT.InitFromObj(parsed)
        return math.prod(outputs()) * shape(0)[-2 if options.adjX else -1]
    if kind == _OPS.UNIDIRECTIONAL_SEQUENCE_LSTM:
        # Four gates for inputs and four for states, at each step of time.
        kernels = [i for i in inputs[1:9] if i >= 0]
        steps = math.prod(shape(0)[:-1])
        return steps * sum(math.prod(_shape(graph, kernel)) for kernel in kernels)
    return 0


def _shape(graph: Any, index: int) -> list[int]:
    tensor = graph.Tensors(index)
    return [max(int(tensor.Shape(i)), 1) for i in range(tensor.ShapeLength())]
