"""Shapes that a file computes while it runs, though all but the batch are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.shrinking.packing import (
    Operator,
    indices,
    kind,
    producers,
)


def fix_shapes(model: Any) -> None:
    """Gives each reshape of an unpacked file a constant shape, where one will do.

    Keras 3's `Flatten` asks for the size of the batch, which takes three operators
    that no accelerator runs. A -1 says as much: a reshape keeps the number of values,
    so one size can be told from the others.
    """
    for graph in model.subgraphs:
        makers = producers(graph)
        for operator in graph.operators:
            if kind(model, operator) == Operator.RESHAPE:
                maker = makers.get(indices(operator.inputs)[-1])
                if maker is not None and kind(model, maker) == Operator.PACK:
                    _fix_shape(model, graph, operator, _sizes(model, graph, maker))


def _sizes(model: Any, graph: Any, pack: Any) -> list[int]:
    """What is put together to a shape; -1 for what is computed."""
    buffers = [model.buffers[graph.tensors[index].buffer] for index in pack.inputs]
    return [-1 if b.data is None else int(b.data.view("<i4")[0]) for b in buffers]


def _fix_shape(model: Any, graph: Any, reshape: Any, sizes: list[int]) -> None:
    if sizes.count(-1) != 1 or 0 in sizes:
        return
    model.buffers.append(schema.BufferT(np.array(sizes, "<i4").view(np.uint8)))
    shape = schema.TensorT(
        shape=np.array([len(sizes)], np.int32),
        type=schema.TensorType.INT32,
        buffer=len(model.buffers) - 1,
        hasRank=True,
    )
    graph.tensors.append(shape)
    reshape.inputs = np.array([reshape.inputs[0], len(graph.tensors) - 1], np.int32)
