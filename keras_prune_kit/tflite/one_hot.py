"""A correction of the converter's scales of quantized one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

# Positions of the operator's two constant inputs: the on value and the off value.
_ON, _OFF = 2, 3
_INTEGERS = {schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16}


def mend_one_hot(content: bytes) -> bytes:
    """Return a file whose one-hot rows are ones and zeros.

    The converter gives the constants their own scale, but interpreters copy the
    quantized values into an output with another scale: a zero became 0.5.

    Args:
        content: A .tflite file, of any quantization.
    """
    patched = bytearray(content)
    model = schema.Model.GetRootAs(patched, 0)
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            if code == schema.BuiltinOperator.ONE_HOT:
                output = graph.Tensors(operator.Outputs(0))
                for place in (_ON, _OFF):
                    _adopt(model, graph.Tensors(operator.Inputs(place)), output)
    return bytes(patched)


def _adopt(model: Any, constant: Any, output: Any) -> None:
    """Requantize a constant with the output's scale, in place through a view."""
    integer = _INTEGERS.get(output.Type())
    own, other = constant.Quantization(), output.Quantization()
    data = model.Buffers(constant.Buffer()).DataAsNumpy()
    if integer is None or own is None or other is None or not own.ScaleLength():
        return
    # The schema returns 0, not an array, for a buffer without data.
    if not other.ScaleLength() or not isinstance(data, np.ndarray):
        return
    values, limits = data.view(integer), np.iinfo(integer)
    # Widened first, as int8 would overflow.
    real = (values.astype(np.int64) - own.ZeroPoint(0)) * own.Scale(0)
    steps = np.rint(real / other.Scale(0)) + other.ZeroPoint(0)
    values[:] = steps.clip(limits.min, limits.max).astype(integer)
    own.ScaleAsNumpy()[:] = other.Scale(0)
    own.ZeroPointAsNumpy()[:] = other.ZeroPoint(0)
