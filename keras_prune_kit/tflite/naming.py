"""Names of the Keras model in the file, in the order of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.shrinking.packing import has_data_behind, pack, unpack


def rename(
    content: bytes, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> bytes:
    """The same file with its inputs and outputs in a given order, under other names.

    A function that is traced can have plain names alone; a signature can have any, such
    as `"user-id"`.

    Args:
        content: A .tflite file with one signature.
        inputs: The new name of each of its inputs, by the one in the file, in the
            order to give them.
        outputs: Likewise.

    Returns:
        The file; above 2 GB it keeps its names.

    Raises:
        ValueError: If the names are not those of the signature.
    """
    content = flatbuffer.reorder(content, list(inputs), list(outputs))
    model = unpack(content)
    if has_data_behind(model):
        return content
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    signature.inputs = _entries(signature.inputs, graph.inputs, inputs)
    signature.outputs = _entries(signature.outputs, graph.outputs, outputs)
    return pack(model)


def _entries(
    entries: list[Any], indices: np.ndarray, names: Mapping[str, str]
) -> list[Any]:
    """The entries of a signature in the order of the graph."""
    for entry, index, name in zip(entries, indices, names.values(), strict=True):
        entry.name, entry.tensorIndex = name, int(index)
    return entries
