"""Sparsity of models and exported files, counted in their actual weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_path
from keras_prune_kit.reports import Skipped, SparsityReport, WeightSparsity
from keras_prune_kit.tflite import TFLiteModel

_KERAS_FILES = (".keras", ".h5", ".hdf5")


def sparsity_report(item: Any) -> SparsityReport:
    """Count the zeros of each weight.

    Args:
        item: A built Keras 3 or Keras 2 model, a `TFLiteModel`, or the path of a
            .keras, .h5 or .tflite file. The zeros of a .tflite, and of weights that
            Keras' `model.quantize` has made integers, are those of the stored values;
            under a LoRA adapter those of the base count (see `merge_lora`).

    Returns:
        A record that prints as a table.

    Raises:
        TypeError: If the item is none of these.
        ValueError: If the model is not built, or the file is of another kind.
        OSError: If the file cannot be read.

    Example:

    ```python
    print(kpk.sparsity_report(model))
    ```
    """
    if isinstance(item, str | os.PathLike):
        path = as_path("item", item)
        is_keras = path.suffix in _KERAS_FILES
        item = _keras.load(path) if is_keras else TFLiteModel(path)
    if isinstance(item, TFLiteModel):
        return item.sparsity_report()
    _keras.world(item, "item")
    handle = _keras.variables_of(item)
    _keras.check_built(item)
    weights, skipped = [], []
    for found in _keras.find_weights(item):
        if isinstance(found, _keras.PrunableWeight):
            weights.append(_counted(found.path, handle.read(found.variable)))
        elif found.quantized is not None:
            weights.append(_counted(found.quantized.path, found.quantized.levels()))
        else:
            skipped.append(Skipped(found.layer_path, found.reason))
    return SparsityReport(tuple(weights), tuple(skipped))


def _counted(path: str, values: np.ndarray) -> WeightSparsity:
    zeros = values.size - int(np.count_nonzero(values))
    return WeightSparsity(path, values.shape, zeros)
