"""DATA that a function of the user returns."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from keras_prune_kit._keras.datasets import map_arrays
from keras_prune_kit.cli.data.arrays import check_arrays, hold_out


class FunctionSource:
    """The data that `module:function` returns, called without arguments.

    An array, or a dict of arrays for several inputs, are inputs without labels.

    Args:
        word: Name of the function, as `"module:function"`.

    Raises:
        ValueError: If the function fails, or does not return data.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self._data = _call(word)
        if isinstance(self._data, tuple):
            check_arrays(self._data, word)

    @property
    def has_labels(self) -> bool:
        """True unless these are inputs alone."""
        if isinstance(self._data, tuple):
            return len(self._data) > 1
        return isinstance(getattr(self._data, "element_spec", ()), tuple)

    def training(self) -> Any:
        """Return the data."""
        return self._data

    def validation(self) -> Any:
        """Return the data."""
        return self._data

    def test(self) -> Any:
        """Return the data."""
        return self._data

    def inputs(self) -> Any:
        """Return the inputs of arrays without labels, or else the whole dataset."""
        return self._data[0] if isinstance(self._data, tuple) else self._data

    def split(self) -> tuple[Any, Any]:
        """Return training data, and a held-out tenth to choose the epoch with."""
        if not isinstance(self._data, tuple):
            raise ValueError(
                f"{self._word} returns a dataset, which may reshuffle in each epoch, "
                "so that no samples can be held out. Add --validation DATA."
            )
        return hold_out(self._data, self._word)


def _call(word: str) -> Any:
    module_name, _, name = word.partition(":")
    # User code may raise any exception.
    try:
        module = importlib.import_module(module_name)
        data = getattr(module, name)()
    except Exception as error:
        raise ValueError(f"{word}: {type(error).__name__}: {error}") from error
    if isinstance(data, list | tuple) and len(data) in (2, 3):
        # A list of two is `(x, y)`, too; its items may be lists of numbers.
        return map_arrays(np.asarray, tuple(data))
    if hasattr(data, "shape") or isinstance(data, dict):
        return (map_arrays(np.asarray, data),)
    if hasattr(data, "element_spec") or _is_sequence(data):
        return data
    raise ValueError(
        f"{word} must return (x, y) or a dataset of batches, or to calibrate with x "
        "alone, an array or a dict of arrays. Received: "
        f"{type(data).__name__}."
    )


def _is_sequence(data: Any) -> bool:
    """Return True if it is a `PyDataset` or `Sequence`, of either Keras."""
    is_array = hasattr(data, "shape") or isinstance(data, list | tuple | dict | str)
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not is_array
