"""Constants for reshape targets that are computed although they are known."""

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
    """Give each RESHAPE of an unpacked file a constant shape if possible.

    Keras 3's `Flatten` computes the batch size with three operators that no accelerator
    supports. A -1 does the same: RESHAPE keeps the number of elements, so that one size
    follows from the others.
    """
    for graph in model.subgraphs:
        makers = producers(graph)
        for operator in graph.operators:
            if kind(model, operator) == Operator.RESHAPE:
                maker = makers.get(indices(operator.inputs)[-1])
                if maker is not None and kind(model, maker) == Operator.PACK:
                    _fix_shape(model, graph, operator, _sizes(model, graph, maker))


def _sizes(model: Any, graph: Any, pack: Any) -> list[int]:
    """Return the sizes that PACK joins to a shape; -1 for computed ones."""
    buffers = [model.buffers[graph.tensors[index].buffer] for index in pack.inputs]
    return [-1 if b.data is None else int(b.data.view("<i4")[0]) for b in buffers]


def _fix_shape(model: Any, graph: Any, reshape: Any, sizes: list[int]) -> None:
    # Beside a size of 0, any number would do for -1.
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
