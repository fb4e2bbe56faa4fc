"""Representative data: a few single samples that show the converter usual values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.names import keys_of
from keras_prune_kit._tools.quantizations import CALIBRATION_SAMPLES

_LEAST_STEPS = 8

Sample = dict[str, np.ndarray]


def representative_samples(
    data: Any, inputs: Sequence[_keras.ModelInput]
) -> list[Sample]:
    """Takes single samples from whatever holds them.

    Args:
        data: An array `(n, ...)`, a list or tuple of them for several inputs, a dict
            of them by input name, or an iterable of batches (such as a
            `tf.data.Dataset`), with or without labels.
        inputs: The inputs of the model.

    Returns:
        At most 200 samples, each a dict of arrays with a batch of one. From whole
        arrays they are taken evenly, from an iterable they are the first ones.

    Raises:
        TypeError: If the data is none of these.
        ValueError: If shapes do not fit the inputs, there is no sample, or a value
            is not finite.
    """
    batches = _batches(data, inputs)
    samples = list(itertools.islice(_singles(batches), CALIBRATION_SAMPLES))
    if not samples:
        raise ValueError(
            "representative_data must hold at least one sample. Received none (an "
            "iterator that was used up gives none)."
        )
    return samples


def one_sample(
    inputs: Sequence[_keras.ModelInput], samples: Sequence[Sample]
) -> list[np.ndarray]:
    """An array with one sample for each input; zeros where there are no samples.

    Args:
        inputs: The inputs of a model.
        samples: Representative data, if there are any.

    Returns:
        None if sizes other than the batch are open.
    """
    if samples:
        return [samples[0][item.name] for item in inputs]
    if any(None in item.shape[1:] for item in inputs):
        return []
    return [np.zeros((1, *item.shape[1:]), item.dtype) for item in inputs]  # pyright: ignore


def coarse_columns(samples: Sequence[Sample], steps: int) -> dict[str, list[int]]:
    """Find the columns of tables that one scale for a whole input hardly tells apart.

    Args:
        samples: Single samples.
        steps: How many steps the type of a quantized input has, such as 255.

    Returns:
        The columns that vary by fewer than 8 steps, by the input's name.
    """
    tables = {
        name: np.concatenate([sample[name] for sample in samples])
        for name, array in samples[0].items()
        if array.ndim == 2 and array.dtype.kind == "f"
    }
    return {name: _coarse(table, steps) for name, table in tables.items()}


def _coarse(table: np.ndarray, steps: int) -> list[int]:
    step = (max(table.max(), 0) - min(table.min(), 0)) / steps
    spreads = np.ptp(table, axis=0)
    return np.flatnonzero((spreads > 0) & (spreads < _LEAST_STEPS * step)).tolist()


def check_samples(model: Any, data: Any) -> None:
    """Raises as `representative_samples` does, if data do not fit a model."""
    representative_samples(data, _keras.signature_of(model).inputs)


def _batches(data: Any, inputs: Sequence[_keras.ModelInput]) -> Iterator[Sample]:
    if _is_whole(data, inputs):
        return iter([_spread(_batch(data, inputs))])
    if callable(data):  # The way the converter itself takes it.
        data = data()
    if not isinstance(data, Iterable):
        raise TypeError(
            "representative_data must be an array, a list or dict of arrays, or an "
            f"iterable of batches. Received: {type(data).__name__}."
        )
    return (_batch(_without_labels(element), inputs) for element in data)


def _is_whole(data: Any, inputs: Sequence[_keras.ModelInput]) -> bool:
    if isinstance(data, list | tuple):
        return len(data) == len(inputs) and all(_is_array(item) for item in data)
    return isinstance(data, Mapping) or _is_array(data)


def _is_array(item: Any) -> bool:
    return hasattr(item, "shape") and hasattr(item, "__array__")


def _without_labels(element: Any) -> Any:
    """Keras takes a tuple for (inputs, labels, ...) and a list for several inputs."""
    return element[0] if isinstance(element, tuple) and element else element


def _batch(data: Any, inputs: Sequence[_keras.ModelInput]) -> Sample:
    if isinstance(data, Mapping):
        arrays = _by_name(data, [item.name for item in inputs])
    elif isinstance(data, list | tuple):
        arrays = list(data)
    else:
        arrays = [data]
    if len(arrays) != len(inputs):
        raise ValueError(
            "representative_data must hold one array for each input, which are "
            f"{[item.name for item in inputs]}. Received: {len(arrays)} arrays."
        )
    batch = {
        item.name: _checked(np.asarray(array), item)
        for item, array in zip(inputs, arrays, strict=True)
    }
    lengths = {name: len(array) for name, array in batch.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "representative_data must have equally many samples for each input. "
            f"Received: {lengths}."
        )
    return batch


def _by_name(data: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    keys = keys_of(names, data)
    if keys is None:
        raise ValueError(
            f"representative_data must have an array for each of the inputs {names}. "
            f"Received the names: {list(data)}."
        )
    return [data[key] for key in keys]


def _checked(array: np.ndarray, item: _keras.ModelInput) -> np.ndarray:
    sizes = item.shape[1:]
    fits = array.ndim == len(item.shape) and all(
        size in (None, given)
        for size, given in zip(sizes, array.shape[1:], strict=True)
    )
    if not fits:
        expected = ", ".join(["n", *("any" if s is None else str(s) for s in sizes)])
        raise ValueError(
            f"representative_data for input '{item.name}' must have shape "
            f"({expected}). Received: {array.shape}."
        )
    array = array.astype(item.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"representative_data for input '{item.name}' must be finite. Received "
            "values that are NaN or infinite."
        )
    return array


def _spread(batch: Sample) -> Sample:
    """At most as many samples as are used, evenly from the first to the last."""
    length = len(next(iter(batch.values())))
    if length <= CALIBRATION_SAMPLES:
        return batch
    chosen = np.linspace(0, length - 1, CALIBRATION_SAMPLES).astype(int)
    return {name: array[chosen] for name, array in batch.items()}


def _singles(batches: Iterable[Sample]) -> Iterator[Sample]:
    for batch in batches:
        for index in range(len(next(iter(batch.values())))):
            yield {name: array[index : index + 1] for name, array in batch.items()}
