"""The multiplications of a .tflite file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

_OPS = schema.BuiltinOperator


def macs(content: bytes) -> int:
    """Return the multiply-accumulate operations of one run of one sample.

    Convolutions, fully connected layers, products of matrices and fused LSTMs count.
    The file is run once on zeros, to know the sizes that it leaves open. Inputs without
    fixed sizes have size 1, and the body of a loop counts once.

    Args:
        content: A .tflite file.

    Source: the definitions of the operators in TensorFlow Lite's kernels.
    """
    model = schema.Model.GetRootAs(content, 0)
    shapes = _shapes_of_run(content)
    total = 0
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        known = shapes if index == 0 else {}
        for number in range(graph.OperatorsLength()):
            total += _macs_of(model, graph, graph.Operators(number), known)
    return total


def _shapes_of_run(content: bytes) -> dict[int, list[int]]:
    """Return the shapes of the main graph's tensors after a run; none if it fails."""
    interpreter = Interpreter(
        model_content=content,
        # Delegates would hide what is inside them.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    try:
        for item in interpreter.get_input_details():
            sizes = item["shape_signature"]
            sizes = item["shape"] if not len(sizes) else sizes
            one = [max(int(size), 1) for size in sizes]
            interpreter.resize_tensor_input(item["index"], one)
        interpreter.allocate_tensors()
        for item in interpreter.get_input_details():
            zeros = np.zeros(item["shape"], item["dtype"])
            interpreter.set_tensor(item["index"], zeros)
        interpreter.invoke()
        details = interpreter.get_tensor_details()
    except (RuntimeError, ValueError):
        return {}
    return {item["index"]: [int(size) for size in item["shape"]] for item in details}


def _macs_of(
    model: Any, graph: Any, operator: Any, shapes: dict[int, list[int]]
) -> int:
    code = model.OperatorCodes(operator.OpcodeIndex())
    kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]

    def of_tensor(number: int) -> list[int]:
        return shapes.get(number) or _stored_shape(graph, number)

    def shape(index: int) -> list[int]:
        return of_tensor(inputs[index])

    def outputs() -> list[int]:
        return of_tensor(operator.Outputs(0))

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
        return steps * sum(math.prod(of_tensor(kernel)) for kernel in kernels)
    return 0


def _stored_shape(graph: Any, index: int) -> list[int]:
    tensor = graph.Tensors(index)
    return [max(int(tensor.Shape(i)), 1) for i in range(tensor.ShapeLength())]
