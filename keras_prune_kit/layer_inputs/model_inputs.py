"""Inputs of a model from what people have, without labels, in batches or at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
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
from keras_prune_kit._tools.checks import check_whole
from keras_prune_kit._tools.names import keys_of

# Of a dataset, whose length may be unknown: more would add little.
_MOST_OF_A_DATASET = 1_024


@dataclass(frozen=True)
class Batches:
    """Inputs as arguments of a model's call.

    Attributes:
        inputs: The argument, batch by batch.
        shares: What part of all samples each batch has.
    """

    inputs: list[Any]
    shares: list[float]


def in_batches(model: Any, data: Any, batch_size: int | None) -> Batches:
    """Return inputs in batches.

    Args:
        model: A built model.
        data: As in `checked_arrays`.
        batch_size: The number of samples in a batch; the last may have fewer. `None`
            is all of them, or as many as the inputs of the model say.

    Raises:
        TypeError: If the data or the batch size are of another type.
        ValueError: If they do not match the model.
    """
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    arrays = checked_arrays(model, data)
    count, fixed = len(arrays[0]), _fixed_size(model, batch_size)
    if fixed:
        _check_fills(count, fixed, model)
        # The rest does not fill a batch.
        count -= count % fixed
    size = fixed or batch_size or count
    starts = [*range(0, count, size), count]

    def part(start: int, end: int) -> Any:
        return _keras.signature_of(model).pack([a[start:end] for a in arrays])

    pairs = list(itertools.pairwise(starts))
    return Batches(
        [part(*pair) for pair in pairs],
        [(end - start) / count for start, end in pairs],
    )


def _fixed_size(model: Any, batch_size: int | None) -> int:
    """Return the batch size that the inputs of a model have, or 0."""
    sizes = {item.shape[0] for item in _keras.signature_of(model).inputs} - {None}
    fixed = int(sizes.pop() or 0) if sizes else 0
    if fixed and batch_size not in (None, fixed):
        raise ValueError(
            f"batch_size is that of the inputs of model '{model.name}', {fixed}, or "
            f"None. Received: {batch_size}."
        )
    return fixed


def _check_fills(count: int, size: int, model: Any) -> None:
    if count < size:
        raise ValueError(
            f"data fill a batch of model '{model.name}', whose inputs are of {size} "
            f"samples each. Received: {count}."
        )


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


def one_batch(model: Any, data: Any) -> Any:
    """Return inputs, all at once, as the argument of a model's call.

    Args and errors are those of `checked_arrays`.
    """
    return _keras.signature_of(model).pack(checked_arrays(model, data))


def inputs_alone(model: Any, data: Any) -> Batches:
    """Return inputs in as few batches as may be, also of `(x, y)`, without the labels.

    Args:
        model: A built model, or one that trains another.
        data: As in `checked_arrays`, or `(x, y)`.
    """
    x = data[0] if isinstance(data, tuple) and data else data
    return in_batches(_keras.trained_model(model), x, None)


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
