"""Inputs to repair a model with: one batch, without labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    as_arrays,
    check_samples,
    elements,
    join,
    length,
)
from keras_prune_kit._tools.names import keys_of

# Of a dataset, whose length may be unknown: more would add little.
_MOST_OF_A_DATASET = 1_024


def one_batch(model: Any, data: Any) -> Any:
    """Return inputs as the argument of a model's call.

    Args:
        model: A built model.
        data: As in `checked_arrays`.
    """
    return _keras.signature_of(model).pack(checked_arrays(model, data))


def checked_arrays(model: Any, data: Any) -> list[np.ndarray]:
    """Return an array for each input of a model.

    Args:
        model: A built model.
        data: An array `(n, ...)`, a list or dict of arrays for several inputs, or an
            iterable of batches of them, such as a `tf.data.Dataset`.

    Raises:
        TypeError: If the data are missing or of another type.
        ValueError: If they do not match the inputs of the model, are none, or are not
            finite.
    """
    inputs = _keras.signature_of(model).inputs
    arrays = _arrays(as_arrays(data, "data"), [item.name for item in inputs])
    if len(arrays) != len(inputs):
        raise ValueError(
            f"data are one array for each input of model '{model.name}' "
            f"({', '.join(item.name for item in inputs)}). Received: {len(arrays)}."
        )
    checked = [_checked(a, item) for a, item in zip(arrays, inputs, strict=True)]
    counts = {len(array) for array in checked}
    if len(counts) > 1 or counts == {0}:
        raise ValueError(
            "data have the same number of samples for each input, at least one. "
            f"Received: {[len(array) for array in checked]}."
        )
    return checked


def _arrays(data: Any, names: list[str]) -> list[Any]:
    if isinstance(data, tuple):
        raise TypeError(
            "data are inputs alone, without labels: an array, or a list or dict of "
            f"them. Received: a tuple of {len(data)}."
        )
    if isinstance(data, dict):
        keys = keys_of(names, data)
        if keys is None:
            raise ValueError(
                f"data have a key for each of {names}. Received: {[*data]}."
            )
        return [data[key] for key in keys]
    if isinstance(data, list) and all(hasattr(item, "shape") for item in data):
        return data
    if hasattr(data, "shape"):
        return [data]
    return _arrays(_of_dataset(data), names)


def _of_dataset(data: Any) -> Any:
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise TypeError(
            "data are some hundred inputs, as an array, a list or dict of them, or a "
            f"dataset of batches. Received: {type(data).__name__}."
        )
    taken: list[Any] = []
    count = 0
    for element in elements(data):
        batch = as_arrays(element[0] if isinstance(element, tuple) else element, "data")
        check_samples(batch, "data")
        taken.append(batch)
        count += length(batch)
        if count >= _MOST_OF_A_DATASET:
            break
    if not taken:
        raise ValueError("data have at least one batch. Received: an empty dataset.")
    return join(taken)


def _checked(array: Any, item: _keras.ModelInput) -> np.ndarray:
    sizes = item.shape[1:]
    shape = np.shape(array)
    if len(shape) != len(item.shape) or any(
        size not in (None, given) for size, given in zip(sizes, shape[1:], strict=True)
    ):
        expected = ", ".join(["n", *("any" if s is None else str(s) for s in sizes)])
        raise ValueError(
            f"data for input '{item.name}' have shape ({expected}). Received: {shape}."
        )
    if getattr(array.dtype, "kind", "") == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"data for input '{item.name}' are finite. Received: NaN or infinite "
            "values; drop these samples."
        )
    return array if item.dtype == "string" else np.asarray(array).astype(item.dtype)
