"""Removal of metadata that no interpreter needs."""

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
    """Remove from an unpacked file what it does not need to run.

    This is the converter's metadata and description, names of activations, shape
    signatures that repeat the shape, and calibration ranges. Weights keep a short name
    for reports; inputs and outputs get their names in the signature.
    """
    model.description = model.metadata = model.metadataBuffer = None
    for graph in model.subgraphs:
        graph.name = None
    for tensor in tensors(model):
        is_named = is_stored(model, tensor) and _is_weight(tensor)
        # A file without names is valid: interpreters go by index.
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
    """Return True if reports list a constant by its name; biases are not listed."""
    rank = 0 if tensor.shape is None else len(tensor.shape)
    return rank > 1 and is_parameter(tensor.type, rank, has_step=False)
