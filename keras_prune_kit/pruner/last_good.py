"""What a model was before its loss became NaN."""

from __future__ import annotations

import logging
import math
import tempfile
import time
import weakref
from typing import Any

import numpy as np

from keras_prune_kit import _keras

_log = logging.getLogger(__name__)

_REST = 50  # times as long as it took to save, before it is done again


class LastGood:
    """Weights and optimizer state of a model, kept in files without a name.

    In files, as a copy in memory would double what a large model takes there; without
    names, so that nothing is left behind whatever happens. Two of them take turns:
    there is a whole one at any time.

    Args:
        model: A built model.

    Attributes:
        moment: When it was as it is kept, in words; `None` before anything is.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables = _keras.variables_of(model)
        self._file, self._spare = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        for file in (self._file, self._spare):
            weakref.finalize(self, file.close)
        self._saved: list[Any] = []
        self._due = 0.0
        self.moment: str | None = None

    def save_if_due(self, moment: str) -> None:
        """Keeps the state as it is now, if all of it is finite, in place of an older.

        Not every time: it takes a fiftieth of the time at most.

        Args:
            moment: What to call it, such as "after batch 3 of epoch 1".
        """
        begin = time.monotonic()
        if begin < self._due:
            return
        try:
            saved = self._write()
        except OSError as error:
            _log.warning("The weights could not be kept for a NaN loss (%s).", error)
            self._due = math.inf
            return
        if saved is not None:
            self._file, self._spare = self._spare, self._file
            self._saved, self.moment = saved, moment
        end = time.monotonic()
        self._due = end + _REST * (end - begin)

    def restore(self) -> None:
        """Brings the state of that moment back.

        What the optimizer has got since then becomes zero, as it begins.
        """
        self._file.seek(0)
        for variable in self._saved:
            self._variables.write(variable, np.load(self._file))
        known = {id(variable) for variable in self._saved}
        for variable in _keras.state_of(self._model):
            if id(variable) not in known:
                self._variables.write(variable, np.zeros_like(self._read(variable)))

    def _write(self) -> list[Any] | None:
        """Fills the spare file; gives what is in it, or `None` if it is of no use."""
        saved = _keras.state_of(self._model)
        self._spare.seek(0)
        for variable in saved:
            array = self._read(variable)
            if not np.isfinite(array).all():
                return None
            np.save(self._spare, array, allow_pickle=False)
        self._spare.flush()
        return saved

    def _read(self, variable: Any) -> np.ndarray:
        array = self._variables.read(variable)
        # The format of numpy's files does not know it.
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
