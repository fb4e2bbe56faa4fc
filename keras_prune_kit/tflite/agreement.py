"""The deviation of a quantized file's outputs from those of its Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import Sample

_SAMPLES = 16
_LEAST_SPREAD = 1e-6  # Relative to the output; below it, the output is constant.


def largest_deviation(
    model: Any,
    signature: _keras.Signature,
    exported: TFLiteModel,
    samples: Sequence[Sample],
) -> float:
    """Compute the largest relative error of a file's outputs on samples.

    Args:
        model: The Keras model.
        signature: The inputs of the model.
        exported: The file.
        samples: Representative data.

    Returns:
        The mean absolute error of the worst output, divided by that output's mean
        absolute deviation from its own mean: 0 is exact, and a file that ignores its
        inputs has about 1.
    """
    # A model of a fixed batch size takes just that many.
    count = signature.inputs[0].shape[0] or _SAMPLES
    chosen = [samples[i] for i in np.linspace(0, len(samples) - 1, count).astype(int)]
    arrays = [
        np.concatenate([sample[item.name] for sample in chosen])
        for item in signature.inputs
    ]
    with _keras.at_rest(model):
        outputs = model(signature.pack(arrays), training=False)
    wanted = list(_keras.named_outputs(model, outputs).values())
    got = exported.predict(arrays)
    pairs = zip(wanted, got if isinstance(got, list) else [got], strict=True)
    return max(_deviation(np.asarray(a, np.float32), b) for a, b in pairs)


def _deviation(wanted: np.ndarray, got: np.ndarray) -> float:
    """Return the relative error of one output; 0 if the two cannot be compared."""
    # Not the outputs' own size: an offset that all samples share says nothing.
    spread = float(np.abs(wanted - wanted.mean(0)).mean())
    if wanted.shape != got.shape or spread < _LEAST_SPREAD * np.abs(wanted).mean():
        return 0.0
    return float(np.abs(got - wanted).mean()) / max(spread, np.finfo(np.float32).tiny)
