"""A warning of data on another scale than those that the model is measured on."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import input_samples
from keras_prune_kit._tools.quantizations import CALIBRATION_SAMPLES
from keras_prune_kit.tflite import representative_samples

# Samples of one source differ by less; images of 0 to 1 and of 0 to 255 by 255.
_FAR_APART = 20


def warn_of_other_scales(
    model: Any, validation_data: Any, inputs: Mapping[str, Any], stacklevel: int
) -> None:
    """Warn of inputs whose mean magnitude is far from that of the validation data.

    Data that can be read only once, or that do not fit the model, are left out.

    Args:
        model: A built model.
        validation_data: Arrays as `(x, y)`, or a dataset.
        inputs: Inputs by the name of the data that they are from, in a form that
            representative data may have; `None` for none.
        stacklevel: As for `warnings.warn`, from the caller of this function.
    """
    given = {name: x for name, x in inputs.items() if x is not None}
    texts: list[str] = []
    with contextlib.suppress(Exception):  # Those who use the data say what is wrong.
        x = input_samples(validation_data, CALIBRATION_SAMPLES) if given else None
        expected = _magnitudes(model, x)
        found = {name: _magnitudes(model, x) for name, x in given.items()}
        texts += _told(expected, found)
    for text in texts:
        # Plus one for this function itself.
        warnings.warn(text, stacklevel=stacklevel + 1)


def _told(
    expected: Mapping[str, float], found: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    for name, magnitudes in found.items():
        for key, magnitude in magnitudes.items():
            known = expected.get(key, 0)
            if not known or not magnitude:
                continue
            if max(magnitude / known, known / magnitude) > _FAR_APART:
                yield (
                    f"{name} seem to be on another scale than validation_data: the "
                    f"values of input '{key}' have a mean magnitude of "
                    f"{magnitude:.3g} and {known:.3g}. Scale both as in training."
                )


def _magnitudes(model: Any, x: Any) -> dict[str, float]:
    """Return the mean absolute value of each real input, by name."""
    if x is None or isinstance(x, Iterator):
        return {}
    items = _keras.signature_of(model).inputs
    samples = representative_samples(x, items)
    return {
        item.name: float(np.mean([np.abs(s[item.name]).mean() for s in samples]))
        for item in items
        if item.dtype.startswith(("float", "bfloat"))
    }
