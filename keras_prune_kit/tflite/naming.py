"""Input and output names of a .tflite file, as in its Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.shrinking.packing import has_external_data, pack, unpack


def rename(
    content: bytes, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> bytes:
    """Return a file with its inputs and outputs renamed, in the given order.

    A traced function accepts plain argument names only; a signature accepts any name,
    such as `"user-id"`.

    Args:
        content: A .tflite file with one signature.
        inputs: The new input names by the current ones, in the wanted order.
        outputs: The new output names, likewise.

    Returns:
        The new file; above 2 GB it is reordered but keeps its names.

    Raises:
        ValueError: If the names are not those of the signature.
    """
    # In place first, which a file above 2 GB allows too.
    content = flatbuffer.reorder(content, list(inputs), list(outputs))
    model = unpack(content)
    if has_external_data(model):
        return content
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    signature.inputs = _entries(signature.inputs, graph.inputs, inputs)
    signature.outputs = _entries(signature.outputs, graph.outputs, outputs)
    return pack(model)


def _entries(
    entries: list[Any], indices: np.ndarray, names: Mapping[str, str]
) -> list[Any]:
    """Return signature entries in graph order, with their new names and tensors."""
    for entry, index, name in zip(entries, indices, names.values(), strict=True):
        entry.name, entry.tensorIndex = name, int(index)
    return entries
