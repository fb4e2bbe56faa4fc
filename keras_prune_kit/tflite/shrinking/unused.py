"""Removal of unused operators, tensors, operator codes and buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    Operator,
    indices,
    is_stored,
    kind,
    signature_entries,
    tensors,
)

# Operators known to have no side effects; others are kept even if they are unused.
_WITHOUT_EFFECTS = {Operator.SHAPE, Operator.STRIDED_SLICE, Operator.PACK}


def drop_unused(model: Any) -> None:
    """Remove unused operators, tensors, operator codes and buffers of a file."""
    for number, graph in enumerate(model.subgraphs):
        _drop_operators(model, graph)
        _drop_tensors(model, number, graph)
    drop_codes(model)
    _drop_buffers(model)


def _drop_operators(model: Any, graph: Any) -> None:
    used = set(indices(graph.outputs))
    kept = []
    for operator in reversed(graph.operators):  # Consumers follow producers.
        outputs = indices(operator.outputs)
        if kind(model, operator) in _WITHOUT_EFFECTS and used.isdisjoint(outputs):
            continue
        used.update(indices(operator.inputs))
        kept.append(operator)
    graph.operators = kept[::-1]


def _drop_tensors(model: Any, number: int, graph: Any) -> None:
    places = [(graph, "inputs"), (graph, "outputs")]
    for operator in graph.operators:
        places += [(operator, name) for name in ("inputs", "outputs", "intermediates")]
    found = [
        (item, name, indices(getattr(item, name)))
        for item, name in places
        if getattr(item, name) is not None
    ]
    # An index of -1 stands for an optional input that is left out.
    used = sorted({index for *_, numbers in found for index in numbers} - {-1})
    new = {-1: -1, **{old: position for position, old in enumerate(used)}}
    for item, name, numbers in found:
        setattr(item, name, np.array([new[index] for index in numbers], np.int32))
    for graph_number, entry in signature_entries(model):
        if graph_number == number:
            entry.tensorIndex = new[entry.tensorIndex]
    graph.tensors = [graph.tensors[index] for index in used]


def drop_codes(model: Any) -> None:
    """Remove operator codes that no operator uses."""
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    used = sorted({operator.opcodeIndex for operator in operators})
    model.operatorCodes = [model.operatorCodes[index] for index in used]
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)


def _drop_buffers(model: Any) -> None:
    """Remove unused buffers; tensors without data share the first, empty one."""
    used = {0: 0}
    # By convention of the schema the first buffer is empty.
    buffers = [schema.BufferT()]
    for tensor in tensors(model):
        if not is_stored(model, tensor):
            tensor.buffer = 0
        elif tensor.buffer not in used:
            used[tensor.buffer] = len(buffers)
            buffers.append(model.buffers[tensor.buffer])
    for tensor in tensors(model):
        tensor.buffer = used[tensor.buffer]
    model.buffers = buffers
