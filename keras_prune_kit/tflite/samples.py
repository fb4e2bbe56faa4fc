"""Representative data, split into single samples for the converter's calibration."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import elements
from keras_prune_kit._tools.names import keys_of
from keras_prune_kit._tools.quantizations import CALIBRATION_SAMPLES

_LEAST_STEPS = 8

Sample = dict[str, np.ndarray]


def representative_samples(
    data: Any, inputs: Sequence[_keras.ModelInput]
) -> list[Sample]:
    """Return single samples of representative data.

    Args:
        data: An array `(n, ...)`, a list or tuple of arrays for several inputs, a dict
            of arrays by input name, or an iterable of batches (such as a
            `tf.data.Dataset`), with or without labels.
        inputs: The inputs of the model.

    Returns:
        At most 200 samples, each a dict of arrays `(1, ...)` by input name: evenly
        spaced ones of whole arrays, the first ones of an iterable.

    Raises:
        TypeError: If the data is of an unsupported type.
        ValueError: If shapes do not match the inputs, there is no sample, or a value
            is not finite.
    """
    batches = _batches(data, inputs)
    # Lazily, as an iterable may be endless.
    samples = list(itertools.islice(_singles(batches), CALIBRATION_SAMPLES))
    if not samples:
        raise ValueError(
            "representative_data must have at least one sample. Received: none. An "
            "iterator can be used only once: pass a fresh one."
        )
    return samples


def one_sample(
    inputs: Sequence[_keras.ModelInput], samples: Sequence[Sample]
) -> list[np.ndarray]:
    """Return one sample as arrays: the first of the given ones, else zeros.

    Args:
        inputs: The inputs of a model.
        samples: Representative data; may be empty.

    Returns:
        One array `(1, ...)` per input; an empty list if there are no samples and
        sizes besides the batch are unknown.
    """
    if samples:
        return [samples[0][item.name] for item in inputs]
    if any(None in item.shape[1:] for item in inputs):
        return []
    return [np.zeros((1, *item.shape[1:]), item.dtype) for item in inputs]  # pyright: ignore


def coarse_columns(samples: Sequence[Sample], steps: int) -> dict[str, list[int]]:
    """Find table columns that the single scale of a quantized input hardly resolves.

    Args:
        samples: Single samples.
        steps: The number of steps of the quantized dtype, such as 255.

    Returns:
        The indices of columns that vary by fewer than 8 steps, by input name.
    """
    tables = {
        name: np.concatenate([sample[name] for sample in samples])
        for name, array in samples[0].items()
        if array.ndim == 2 and array.dtype.kind == "f"
    }
    return {name: _coarse(table, steps) for name, table in tables.items()}


def _coarse(table: np.ndarray, steps: int) -> list[int]:
    # A quantization range includes 0.
    step = (max(table.max(), 0) - min(table.min(), 0)) / steps
    spreads = np.ptp(table, axis=0)
    # A constant column is left out: there is nothing to resolve in it.
    return np.flatnonzero((spreads > 0) & (spreads < _LEAST_STEPS * step)).tolist()


def check_samples(model: Any, data: Any) -> None:
    """Raise as `representative_samples` does if data does not match a model."""
    representative_samples(data, _keras.signature_of(model).inputs)


def _batches(data: Any, inputs: Sequence[_keras.ModelInput]) -> Iterator[Sample]:
    if _is_whole(data, inputs):
        return iter([_spread(_batch(data, inputs))])
    if callable(data):  # As `TFLiteConverter.representative_dataset` is.
        data = data()
    if not isinstance(data, Iterable):
        raise TypeError(
            "representative_data must be an array, a list or dict of arrays, or an "
            f"iterable of batches. Received: {type(data).__name__}."
        )
    return (_batch(_without_labels(element), inputs) for element in elements(data))


def _is_whole(data: Any, inputs: Sequence[_keras.ModelInput]) -> bool:
    if isinstance(data, list | tuple):
        return len(data) == len(inputs) and all(_is_array(item) for item in data)
    return isinstance(data, Mapping) or _is_array(data)


def _is_array(item: Any) -> bool:
    # Tensors of any library, but neither generators nor a `tf.data.Dataset`.
    return hasattr(item, "shape") and hasattr(item, "__array__")


def _without_labels(element: Any) -> Any:
    """Return the inputs of a batch; to Keras a tuple means (inputs, labels, ...)."""
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
            "representative_data must have one array for each of the inputs "
            f"{[item.name for item in inputs]}. Received: {len(arrays)} arrays."
        )
    batch = {
        item.name: _checked(np.asarray(array), item)
        for item, array in zip(inputs, arrays, strict=True)
    }
    lengths = {name: len(array) for name, array in batch.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "representative_data must have the same number of samples for each input. "
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
        raise ValueError(
            f"representative_data for input '{item.name}' must have shape "
            f"{item.shape_text}. Received: {array.shape}."
        )
    if array.dtype.kind in "OSU":
        raise TypeError(
            f"representative_data for input '{item.name}' must be numbers "
            f"({item.dtype}). Received: an array of {array.dtype}. Convert it as for "
            "training."
        )
    array = array.astype(item.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"representative_data for input '{item.name}' must be finite. Received: "
            "NaN or infinite values."
        )
    return array


def _spread(batch: Sample) -> Sample:
    """Return at most `CALIBRATION_SAMPLES` samples, spread evenly over all."""
    length = len(next(iter(batch.values())))
    if length <= CALIBRATION_SAMPLES:
        return batch
    chosen = np.linspace(0, length - 1, CALIBRATION_SAMPLES).astype(int)
    return {name: array[chosen] for name, array in batch.items()}


def _singles(batches: Iterable[Sample]) -> Iterator[Sample]:
    for batch in batches:
        for index in range(len(next(iter(batch.values())))):
            yield {name: array[index : index + 1] for name, array in batch.items()}
