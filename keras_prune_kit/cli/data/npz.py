"""DATA from an .npz file."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit.cli.data.arrays import check_arrays, hold_out

_log = logging.getLogger(__name__)

_PLAIN = ("x", "y")
_TRAIN = ("x_train", "y_train")
_VALIDATION = ("x_val", "y_val")
_TEST = ("x_test", "y_test")


class NpzSource:
    """Arrays of an .npz file, found by their usual names.

    Args:
        path: Path of the file.

    Raises:
        ValueError: From each method, if the file cannot be read or does not have the
            arrays.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def has_labels(self) -> bool:
        """True if there are labels to train with."""
        return any(self._names().issuperset(choice) for choice in (_TRAIN, _PLAIN))

    def training(self) -> Any:
        """Return the arrays to train with."""
        return self._read(_TRAIN, _PLAIN)

    def validation(self) -> Any:
        """Return the arrays to choose the best epoch with; never test data."""
        return self._read(_VALIDATION, _PLAIN)

    def test(self) -> Any:
        """Return the arrays to measure a result with."""
        return self._read(_TEST, _PLAIN)

    def inputs(self) -> Any:
        """Return the inputs to train with, without labels."""
        return self._read(_TRAIN[:1], _PLAIN[:1])[0]

    def split(self) -> tuple[Any, Any]:
        """Return arrays to train with, and other arrays to choose the epoch with."""
        if self._names().issuperset(_VALIDATION):
            _log.info("x_val and y_val of %s choose the best epoch.", self._path)
            return self.training(), self.validation()
        return hold_out(self.training(), self._path)

    def _read(self, *choices: Sequence[str]) -> tuple[np.ndarray, ...]:
        names = self._names()
        chosen = next((choice for choice in choices if names.issuperset(choice)), None)
        if chosen is None:
            wanted = ", or ".join(" and ".join(choice) for choice in choices)
            raise ValueError(
                f"{self._path} must have the arrays {wanted}. Received: "
                f"{', '.join(sorted(names)) or 'none'}."
            )
        arrays = tuple(self._load(name) for name in chosen)
        check_arrays(arrays, self._path)
        return arrays

    def _names(self) -> set[str]:
        with self._open() as file:
            return set(file)

    def _open(self) -> Any:
        try:
            # np.load also opens .npy files, whose content is a plain array.
            if zipfile.is_zipfile(self._path):
                return np.load(self._path, allow_pickle=False)
        except (ValueError, OSError, zipfile.BadZipFile):
            pass
        raise ValueError(f"{self._path} is not a complete .npz file.")

    def _load(self, name: str) -> np.ndarray:
        try:
            with self._open() as file:
                return file[name]
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            # Also for object arrays: unpickling them could run code.
            raise ValueError(
                f"{name} of {self._path} cannot be read: {error}"
            ) from error
