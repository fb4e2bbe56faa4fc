"""Mending what the converter gets wrong about the cells of a fused LSTM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_FUSED = (
    schema.BuiltinOperator.LSTM,
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
)
_CELL_STATE = 19  # Which of the operator's inputs it is.
_SMALLEST_STEP = 2.0**-15


def widen_cell_states(content: bytes) -> bytes:
    """The same file with cell states that reach from -1 to 1 at least.

    The converter gives a cell state of 16 bits the steps that its calibrated range
    allows. Where that range is smaller than -0.5 to 0.5, as in a small or very sparse
    LSTM, the steps are finer than 2 ** -15, which no interpreter computes with: it has
    no negative number of integer bits, and gives nonsense.

    Args:
        content: A .tflite file, of any quantization.
    """
    patched = bytearray(content)
    for scale in _cell_scales(schema.Model.GetRootAs(patched, 0)):
        scale[scale < _SMALLEST_STEP] = _SMALLEST_STEP  # A view: this is the file.
    return bytes(patched)


def _cell_scales(model: Any) -> Iterator[Any]:
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            if code not in _FUSED or operator.InputsLength() <= _CELL_STATE:
                continue
            state = graph.Tensors(operator.Inputs(_CELL_STATE))
            is_quantized = state.Type() == schema.TensorType.INT16
            if is_quantized and state.Quantization().ScaleLength():
                yield state.Quantization().ScaleAsNumpy()
