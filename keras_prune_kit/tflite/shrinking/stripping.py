"""Removal of metadata that no interpreter needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit.tflite.shrinking.naming import name_tensors
from keras_prune_kit.tflite.shrinking.packing import tensors


def strip(model: Any) -> None:
    """Remove from an unpacked file what it does not need to run.

    This is the converter's metadata and description, long names, shape signatures that
    repeat the shape, and calibration ranges.
    """
    model.description = model.metadata = model.metadataBuffer = None
    for graph in model.subgraphs:
        graph.name = None
    for tensor in tensors(model):
        _strip_tensor(tensor)
    name_tensors(model)


def _strip_tensor(tensor: Any) -> None:
    if np.array_equal(tensor.shapeSignature, tensor.shape):
        tensor.shapeSignature = None
    quantization = tensor.quantization
    if quantization is not None:
        quantization.min = quantization.max = None
        if quantization.scale is None and quantization.details is None:
            tensor.quantization = None
