"""DATA that a function of the user's own returns."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from keras_prune_kit._tools.datasets import map_arrays
from keras_prune_kit.cli.data.arrays import check_arrays, hold_out


class FunctionSource:
    """What `module:function` returns, called without arguments.

    Args:
        word: `"module:function"`.

    Raises:
        ValueError: If the function cannot be called, or returns no data.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self._data = _call(word)
        if isinstance(self._data, tuple):
            check_arrays(self._data, word)

    def training(self) -> Any:
        """The data."""
        return self._data

    def validation(self) -> Any:
        """The data."""
        return self._data

    def test(self) -> Any:
        """The data."""
        return self._data

    def inputs(self) -> Any:
        """The data without labels, if they are arrays."""
        return self._data[0] if isinstance(self._data, tuple) else self._data

    def split(self) -> tuple[Any, Any]:
        """Arrays to train with, and a tenth of them to choose with."""
        if not isinstance(self._data, tuple):
            raise ValueError(
                f"{self._word} returns a dataset, which may shuffle itself anew in "
                "each epoch, so that nothing can be held out. Add --validation DATA."
            )
        return hold_out(self._data, self._word)


def _call(word: str) -> Any:
    module_name, _, name = word.partition(":")
    # The code is the user's own: it may raise anything.
    try:
        module = importlib.import_module(module_name)
        data = getattr(module, name)()
    except Exception as error:
        raise ValueError(f"{word}: {type(error).__name__}: {error}") from error
    if isinstance(data, list | tuple) and len(data) in (2, 3):
        return map_arrays(np.asarray, tuple(data))
    if hasattr(data, "element_spec") or _is_sequence(data):
        return data
    raise ValueError(
        f"{word} must return (x, y) or a dataset of batches. Received: "
        f"{type(data).__name__}."
    )


def _is_sequence(data: Any) -> bool:
    """Whether it is a Keras `PyDataset` or `Sequence`, which can be read again."""
    is_array = hasattr(data, "shape") or isinstance(data, list | tuple | dict | str)
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not is_array
