"""The agreement of a quantized file's outputs with those of its Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import Sample

_SAMPLES = 16
_LEAST_SPREAD = 1e-6  # Relative to the output; below it, the output is constant.


@dataclass(frozen=True)
class Agreement:
    """The agreement of a file's outputs with those of its model, at the worst output.

    Attributes:
        deviation: The mean absolute error, divided by the output's mean absolute
            deviation from its own mean: 0 is exact, and a file that ignores its inputs
            has about 1.
        cosine: The mean cosine of the angle between the two outputs of a sample, each
            as one vector; 1 for an output of a single value, which has no direction.
    """

    deviation: float
    cosine: float


def agreement(
    model: Any,
    signature: _keras.Signature,
    exported: TFLiteModel,
    samples: Sequence[Sample],
) -> Agreement:
    """Compare the outputs of a file with those of its model on samples.

    Args:
        model: The Keras model.
        signature: The inputs of the model.
        exported: The file.
        samples: Representative data.
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
    found = zip(wanted, got if isinstance(got, list) else [got], strict=True)
    pairs = [(np.asarray(a, np.float32), b) for a, b in found]
    return Agreement(
        max(_deviation(*pair) for pair in pairs), min(_cosine(*pair) for pair in pairs)
    )


def _deviation(wanted: np.ndarray, got: np.ndarray) -> float:
    """Return the relative error of one output; 0 if the two cannot be compared."""
    # Not the outputs' own size: an offset that all samples share says nothing.
    spread = float(np.abs(wanted - wanted.mean(0)).mean())
    if wanted.shape != got.shape or spread < _LEAST_SPREAD * np.abs(wanted).mean():
        return 0.0
    return float(np.abs(got - wanted).mean()) / max(spread, np.finfo(np.float32).tiny)


def _cosine(wanted: np.ndarray, got: np.ndarray) -> float:
    """Return the mean cosine of one output; 1 if the two cannot be compared."""
    if wanted.shape != got.shape or wanted[0].size < 2:
        return 1.0
    one, other = wanted.reshape(len(wanted), -1), got.reshape(len(got), -1)
    products = (one * other).sum(1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    known = lengths > 0  # A vector of zeros has no direction.
    return float((products[known] / lengths[known]).mean()) if known.any() else 1.0
