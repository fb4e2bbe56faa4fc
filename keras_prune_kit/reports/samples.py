"""Predictions of several models for a few samples."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """A predicted class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Samples:
    """A few samples, their true classes, and the predictions of each model.

    Attributes:
        labels: True class of each sample.
        predictions: One prediction per sample, by name of the model.
        pictures: Content of a PNG file per sample; empty unless the inputs are
            pictures.
    """

    labels: tuple[str, ...]
    predictions: Mapping[str, tuple[Prediction, ...]]
    pictures: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any,
        scores: Mapping[str, Any],
        class_names: Sequence[str] | None,
    ) -> Samples | None:
        """Return the samples, or `None` if the data are not those of a classifier.

        Args:
            x: Inputs of n samples.
            y: Class numbers `(n,)` or `(n, 1)`, or one-hot rows `(n, classes)`.
            scores: Probabilities or logits `(n, classes)`, by name of the model.
            class_names: Names of the classes; `None` names them by their numbers.
        """
        outputs = [y, *scores.values()]
        # Several outputs are a list or a dict.
        if not all(isinstance(output, np.ndarray) for output in outputs):
            return None
        shapes = {array.shape for array in scores.values()}
        shape = next(iter(shapes)) if len(shapes) == 1 else ()
        if len(shape) != 2 or shape[1] < 2:
            return None
        classes = y.argmax(-1) if y.shape == shape else y.reshape(len(y), -1)[:, 0]
        names = class_names or [str(number) for number in range(shape[1])]
        if y.size not in (len(y), y.shape[0] * shape[1]) or len(names) != shape[1]:
            return None
        return cls(
            labels=tuple(str(names[int(number)]) for number in classes),
            predictions={
                name: tuple(_prediction(row, names) for row in rows)
                for name, rows in scores.items()
            },
            pictures=_pictures(x),
        )


def _prediction(row: np.ndarray, names: Sequence[str]) -> Prediction:
    row = row.astype(np.float64)
    # Otherwise logits. Probabilities of an int8 file sum only roughly to 1.
    if row.min() < 0 or not np.isclose(row.sum(), 1, atol=0.05):
        # The largest logit becomes 0, so that no power overflows.
        row = np.exp(row - row.max())
        row /= row.sum()
    return Prediction(str(names[int(row.argmax())]), float(row.max()))


def _pictures(x: Any) -> tuple[bytes, ...]:
    if not isinstance(x, np.ndarray) or x.ndim != 4 or x.shape[-1] not in (1, 3):
        return ()
    low, high = float(x.min()), float(x.max())
    # Models expect pictures of 0 to 255, -1 to 1, or 0 to 1.
    low, high = (0, 255) if high > 2 else (-1, 1) if low < 0 else (0, 1)
    pixels = np.clip(255 * (x - low) / (high - low), 0, 255).astype(np.uint8)
    return tuple(map(_png, pixels))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image  # Only pages with pictures need it.

    out = io.BytesIO()
    # PIL takes grayscale pixels without an axis of channels.
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        out, "PNG"
    )
    return out.getvalue()
