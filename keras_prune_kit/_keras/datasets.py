"""Data in the forms that Keras accepts: arrays, nests, datasets, generators."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

_KERAS_BATCH = 32  # The default of `fit` for arrays.

# Iterables that do not contain batches.
_NO_BATCHES = (str, bytes, bytearray, dict, set, range, type, np.ndarray, np.generic)


def fit_arguments(data: Any) -> dict[str, Any]:
    """Return the data as keyword arguments of `fit` and `evaluate`."""
    if not isinstance(data, tuple):
        return {"x": data}
    return dict(zip(("x", "y", "sample_weight"), data, strict=False))


def as_arrays(data: Any, name: str) -> Any:
    """Convert the tensors and data frames that `fit` accepts to numpy arrays.

    Args:
        data: Arrays, tensors of TensorFlow, JAX or torch, pandas frames or nests of
            them, such as `(x, y)`. Datasets, generators and string tensors are returned
            unchanged.
        name: The name of the data in messages.

    Raises:
        TypeError: If a tensor is ragged or sparse.
    """
    return map_arrays(functools.partial(_as_array, name), data)


def _as_array(name: str, item: Any) -> Any:
    if hasattr(item, "row_splits") or hasattr(item, "dense_shape"):
        way_out = "to_tensor()" if hasattr(item, "row_splits") else "tf.sparse.to_dense"
        raise TypeError(
            f"{name} must be dense arrays, whose samples can be indexed. "
            f"Received: a {type(item).__name__}. Make it dense first ({way_out}), or "
            "pass a tf.data.Dataset of batches."
        )
    if hasattr(item, "to_numpy"):  # pandas
        return item.to_numpy()
    # A torch tensor may be on another device or part of a gradient graph.
    if hasattr(item, "detach"):  # torch
        return item.detach().cpu().numpy()
    if is_text(item) or isinstance(item, np.ndarray) or not hasattr(item, "__array__"):
        return item
    return np.asarray(item)


def is_text(item: Any) -> bool:
    """Return True for a string tensor, which Keras does not accept as an array."""
    return getattr(getattr(item, "dtype", None), "name", "") == "string"


def is_torch_loader(data: Any) -> bool:
    """Return True for a `DataLoader` of torch."""
    return any(
        base.__name__ == "DataLoader" and base.__module__.startswith("torch.utils.data")
        for base in type(data).__mro__
    )


def elements(data: Iterable[Any]) -> Iterator[Any]:
    """Yield the elements of an iterable, inputs with labels as a tuple."""
    is_loader = is_torch_loader(data)
    for element in data:
        # A DataLoader gives lists instead.
        yield tuple(element) if is_loader and isinstance(element, list) else element


def batches(data: Any) -> Iterator[tuple[Any, ...]]:
    """Yield arrays as one batch, or the batches of a dataset as numpy arrays."""
    if isinstance(data, tuple):
        yield data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        yield from (_batch(data[index]) for index in range(len(data)))
    else:
        yield from map(_batch, data)


def _batch(element: Any) -> tuple[Any, ...]:
    """Return an element of a dataset as `(x, ...)`, inputs alone as `(x,)`."""
    # Keras takes a list, too, for inputs with their labels.
    is_several = isinstance(element, list | tuple)
    return _numpy(tuple(element) if is_several else (element,))


def batch_count(data: Any) -> int | None:
    """Return the number of batches, or `None` if it is unknown."""
    if isinstance(data, tuple):
        return 1
    try:
        return len(data)
    # Generators, and datasets that are endless or of unknown length.
    except TypeError:
        return None


def steps_per_epoch(data: Any, batch_size: int | None) -> int | None:
    """Return the number of batches that `fit` makes of data; `None` if unknown.

    Args:
        data: Arrays `(x, ...)`, or a dataset.
        batch_size: Samples per batch of arrays; `None` for Keras' default.
    """
    if isinstance(data, tuple):
        return math.ceil(length(data[0]) / (batch_size or _KERAS_BATCH))
    return batch_count(data)


def check_data(data: Any, name: str) -> None:
    """Raise a `TypeError` or `ValueError` unless `fit` accepts data of this form.

    Args:
        data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, or a dataset or generator of
            such batches.
        name: The name of the data in messages.
    """
    if isinstance(data, tuple):
        if not 1 <= len(data) <= 3:
            raise ValueError(
                f"{name} are (x, y) or (x, y, sample_weight). Received: a tuple of "
                f"{len(data)}."
            )
        check_samples(data, name)
    elif isinstance(data, _NO_BATCHES) or not (
        hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    ):
        raise TypeError(
            f"{name} are (x, y), or a dataset or generator of such batches. Received: "
            f"a value of type {type(data).__name__}."
        )


def check_samples(item: Any, name: str) -> None:
    """Raise an error unless all arrays of a nest have the same number of samples."""
    lengths: set[int] = set()

    def note(array: Any) -> None:
        if not getattr(array, "shape", ()):
            raise TypeError(
                f"{name} must be arrays with one row per sample. Received: a value of "
                f"type {type(array).__name__}."
            )
        lengths.add(int(array.shape[0]))

    map_arrays(note, item)
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"{name} must have the same number of samples throughout, at least one. "
            f"Received: {sorted(lengths)}."
        )


def check_rereadable(data: Any, name: str) -> None:
    """Raise a `ValueError` if the data can be read only once."""
    # A dataset gives a new iterator for each pass, an iterator gives itself.
    if isinstance(data, Iterator):
        raise ValueError(
            f"{name} are read more than once: pass arrays or a dataset, not a "
            f"generator that ends after one pass. Received: {data!r}."
        )


def is_arrays(item: Any) -> bool:
    """Return True for an array or a nest of them, False for a dataset."""
    return isinstance(item, dict | list | tuple) or hasattr(item, "shape")


def without_labels(data: Any) -> Any:
    """Return arrays as `(x,)`, be it `x` or `(x, y)`; a dataset is left as it is."""
    if isinstance(data, tuple):
        return data[:1]
    return (data,) if is_arrays(data) else data


def input_samples(data: Any, count: int) -> Any:
    """Return input samples at even distances in arrays, or from the first batches."""
    if isinstance(data, tuple):
        return _spread(data[0], count)
    return _first(data, count)[0]


def labelled_samples(data: Any, count: int) -> tuple[Any, Any] | None:
    """Return samples as `(x, y)`, or `None` for data without labels or read once."""
    if isinstance(data, Iterator):
        return None
    x, *rest = (
        _spread(data[:2], count) if isinstance(data, tuple) else _first(data, count)
    )
    return (x, rest[0]) if rest else None


def _first(data: Any, count: int) -> Any:
    """Return the first `count` samples of the batches, joined."""
    taken, total = [], 0
    for batch in batches(data):
        taken.append(batch)
        total += length(batch)
        if total >= count:
            break
    return map_arrays(lambda a: a[:count], join(taken))


def length(item: Any) -> int:
    """Return the number of samples in a nest of arrays of equal length."""
    while isinstance(item, dict | list | tuple):
        item = next(iter(item.values() if isinstance(item, dict) else item))
    return len(item)


def shape_of(item: Any) -> Any:
    """Return the shapes of one sample, in the structure of the data."""
    return map_arrays(lambda array: np.shape(array)[1:], item)


def join(parts: list[Any]) -> Any:
    """Concatenate nests of arrays of the same structure along the batch axis."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: join([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(map(join, map(list, zip(*parts, strict=True))))
    if is_text(first):
        return sys.modules["tensorflow"].concat(parts, axis=0)
    # `concatenate` would copy even a single array.
    return np.concatenate(parts) if len(parts) > 1 else first


def parts(item: Any, size: int) -> Iterator[Any]:
    """Yield a nest of arrays in parts of `size` samples."""
    for start in range(0, length(item), size):
        yield map_arrays(lambda a, start=start: a[start : start + size], item)


def _spread(item: Any, count: int) -> Any:
    """Return samples at even distances, so that sorted data are covered, too."""

    def spread(array: Any) -> Any:
        # If there are fewer samples than wanted, some occur more than once.
        chosen = np.linspace(0, len(array) - 1, count).astype(int)
        if is_text(array):  # A tensor cannot be indexed by an array.
            return sys.modules["tensorflow"].gather(array, chosen)
        return array[chosen]

    return map_arrays(spread, item)


def _numpy(item: Any) -> Any:
    return map_arrays(
        lambda array: array if is_text(array) else np.asarray(array), item
    )


def map_arrays(function: Callable[[Any], Any], item: Any) -> Any:
    """Apply a function to each array of a nest of dicts, lists and tuples."""
    if isinstance(item, dict):
        return {key: map_arrays(function, value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(map_arrays(function, value) for value in item)
    return function(item)
