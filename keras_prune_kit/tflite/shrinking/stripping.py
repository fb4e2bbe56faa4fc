"""Leaving out what no interpreter computes with."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit.tflite.constants import is_parameter, short_name
from keras_prune_kit.tflite.shrinking.packing import (
    is_stored,
    signature_entries,
    tensors,
)


def strip(model: Any) -> None:
    """Strips an unpacked file of all that it runs without.

    Metadata of the converter, its remarks, the names of activations, a second copy of
    shapes, and the ranges that steps were made from go. Weights keep a short name for
    reports, inputs and outputs the names of the signature.
    """
    model.description = model.metadata = model.metadataBuffer = None
    for graph in model.subgraphs:
        graph.name = None
    for tensor in tensors(model):
        is_named = is_stored(model, tensor) and _is_weight(tensor)
        tensor.name = short_name(tensor.name or b"") if is_named else None
        _strip_tensor(tensor)
    for number, entry in signature_entries(model):
        model.subgraphs[number].tensors[entry.tensorIndex].name = entry.name


def _strip_tensor(tensor: Any) -> None:
    if np.array_equal(tensor.shapeSignature, tensor.shape):
        tensor.shapeSignature = None
    quantization = tensor.quantization
    if quantization is not None:
        quantization.min = quantization.max = None
        if quantization.scale is None and quantization.details is None:
            tensor.quantization = None


def _is_weight(tensor: Any) -> bool:
    """Whether a constant is listed in reports by its name; biases are not."""
    rank = 0 if tensor.shape is None else len(tensor.shape)
    return rank > 1 and is_parameter(tensor.type, rank, has_step=False)
