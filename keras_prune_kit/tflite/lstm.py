"""Corrections of the converter's errors in the states of fused LSTMs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    has_external_data,
    kind,
    pack,
    unpack,
)

_FUSED = (
    schema.BuiltinOperator.LSTM,
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
)
# Positions in the operator: two among its inputs, `_GIVEN` among its intermediates.
_HIDDEN_STATE, _CELL_STATE, _GIVEN = 18, 19, 4
# Interpreters compute the tanh of an int16 cell state with 0 to 6 integer bits.
_SMALLEST_STEP, _LARGEST_STEP = 2.0**-15, 2.0**-9


def mend_cells(content: bytes) -> bytes:
    """Return a file whose fused LSTMs compute what Keras computes.

    The converter clips cell states at 10, which Keras does not: an LSTM that counts
    exceeds 10. And it confuses weights that are all zeros with the state if the two
    have the same shape, as for a single unit.

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
    if not found or has_external_data(model):
        return content
    for graph, operator in found:
        # A limit of 0 means none.
        operator.builtinOptions.cellClip = 0.0
        operator.inputs = np.array(operator.inputs)  # A read-only view.
        for place, index in enumerate(operator.inputs):
            is_state = place in (_HIDDEN_STATE, _CELL_STATE)
            if index >= 0 and graph.tensors[index].isVariable and not is_state:
                operator.inputs[place] = _add_zeros(model, graph, graph.tensors[index])
    return pack(model)


def mend_states(content: bytes) -> bytes:
    """Return a file with scales of LSTM states that interpreters can compute with.

    The cell state of a small or sparse LSTM may stay between -0.5 and 0.5. The
    converter then chooses a scale below 2 ** -15, which would need a negative number
    of integer bits, and the outputs are wrong. They are also wrong for a scale above
    2 ** -9, as for an LSTM that counts: during calibration each sample starts from the
    state that the previous one left.

    If the output of an LSTM is concatenated, as in a bidirectional layer, the converter
    sets the output's scale to that of the concatenation, but leaves the hidden state's
    scale, with which interpreters compute the output.

    Args:
        content: A .tflite file, of any quantization.
    """
    patched = bytearray(content)
    # Arrays that are read are views: writing to them changes the file.
    for cell, output, same in _states(schema.Model.GetRootAs(patched, 0)):
        scale = cell.ScaleAsNumpy()
        scale[:] = scale.clip(_SMALLEST_STEP, _LARGEST_STEP)
        for hidden in same:
            hidden.ScaleAsNumpy()[:] = output.ScaleAsNumpy()
            hidden.ZeroPointAsNumpy()[:] = output.ZeroPointAsNumpy()
    return bytes(patched)


def _add_zeros(model: Any, graph: Any, like: Any) -> int:
    """Add a float32 constant of zeros shaped like a tensor, and return its index."""
    data = np.zeros(like.shape, "<f4").reshape(-1).view(np.uint8)
    model.buffers.append(schema.BufferT(data))
    tensor = copy.copy(like)
    tensor.isVariable, tensor.buffer = False, len(model.buffers) - 1
    tensor.name = like.name + b"_zeros"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _states(model: Any) -> Iterator[tuple[Any, Any, list[Any]]]:
    """Yield, per int8 LSTM, the quantization of cell state, output and hidden states.

    Hidden states, as an input and as an intermediate, must match the output.
    """
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
            # A float LSTM has no scales to mend.
            if output.Type() == schema.TensorType.INT8:
                others = [tensor.Quantization() for tensor in same]
                yield cell.Quantization(), output.Quantization(), others
