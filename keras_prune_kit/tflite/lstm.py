"""Mending what the converter gets wrong about the states of a fused LSTM."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    has_data_behind,
    kind,
    pack,
    unpack,
)

_FUSED = (
    schema.BuiltinOperator.LSTM,
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
)
# Where the operator has them: two of its inputs, one of its intermediates.
_HIDDEN_STATE, _CELL_STATE, _GIVEN = 18, 19, 4
_SMALLEST_STEP, _LARGEST_STEP = 2.0**-15, 2.0**-9


def mend_cells(content: bytes) -> bytes:
    """The same file with fused LSTMs that compute what Keras does.

    The converter has cell states clipped at 10, which Keras does nowhere: an LSTM that
    counts goes beyond. Where weights are nothing but zeros and of the shape of a state,
    as those of a single unit, it takes the state for them.

    Args:
        content: A .tflite file, before or after quantization.
    """
    model = unpack(content)
    found = [
        (graph, operator)
        for graph in model.subgraphs
        for operator in graph.operators
        if kind(model, operator) in _FUSED
    ]
    if not found or has_data_behind(model):
        return content
    for graph, operator in found:
        operator.builtinOptions.cellClip = 0.0
        operator.inputs = np.array(operator.inputs)  # It is a view of the file.
        for place, index in enumerate(operator.inputs):
            is_state = place in (_HIDDEN_STATE, _CELL_STATE)
            if index >= 0 and graph.tensors[index].isVariable and not is_state:
                operator.inputs[place] = _add_zeros(model, graph, graph.tensors[index])
    return pack(model)


def mend_states(content: bytes) -> bytes:
    """The same file with steps of LSTM states that interpreters can compute with.

    Where an LSTM is small or sparse, its cell state may stay within -0.5 and 0.5. The
    converter then takes steps finer than 2 ** -15, for which no interpreter has the
    negative number of integer bits, and the file gives nonsense. So it does where steps
    are coarser than 2 ** -9, as those of an LSTM that counts: calibration has each
    sample go on from the state that the last one left.

    Where the output of an LSTM is concatenated, as in a bidirectional one, the
    converter gives it the steps of what it becomes a part of, and leaves the hidden
    state others, by which interpreters compute the output.

    Args:
        content: A .tflite file, of any quantization.
    """
    patched = bytearray(content)
    # What is read as an array is a view: writing to it changes the file.
    for cell, output, same in _states(schema.Model.GetRootAs(patched, 0)):
        scale = cell.ScaleAsNumpy()
        scale[:] = scale.clip(_SMALLEST_STEP, _LARGEST_STEP)
        for hidden in same:
            hidden.ScaleAsNumpy()[:] = output.ScaleAsNumpy()
            hidden.ZeroPointAsNumpy()[:] = output.ZeroPointAsNumpy()
    return bytes(patched)


def _add_zeros(model: Any, graph: Any, like: Any) -> int:
    """A constant of float32 of the shape of another tensor; gives its index."""
    data = np.zeros(like.shape, "<f4").reshape(-1).view(np.uint8)
    model.buffers.append(schema.BufferT(data))
    tensor = copy.copy(like)
    tensor.isVariable, tensor.buffer = False, len(model.buffers) - 1
    tensor.name = like.name + b"_zeros"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _states(model: Any) -> Iterator[tuple[Any, Any, list[Any]]]:
    """Of each int8 LSTM the quantization of its cell state, of its output, and of
    all that must have the same as the output."""
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            if code not in _FUSED or operator.IntermediatesLength() <= _GIVEN:
                continue
            cell, output, *same = (
                graph.Tensors(place)
                for place in (
                    operator.Inputs(_CELL_STATE),
                    operator.Outputs(0),
                    operator.Inputs(_HIDDEN_STATE),
                    operator.Intermediates(_GIVEN),
                )
            )
            if output.Type() == schema.TensorType.INT8:
                others = [tensor.Quantization() for tensor in same]
                yield cell.Quantization(), output.Quantization(), others
