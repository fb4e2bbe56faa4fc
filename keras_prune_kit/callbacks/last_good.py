"""What a model was before its loss became NaN."""

from __future__ import annotations

import logging
import tempfile
import weakref
from typing import Any

import numpy as np

from keras_prune_kit import _keras

_log = logging.getLogger(__name__)


class LastGood:
    """Weights and optimizer state of a model, kept in a file without a name.

    A file, as a copy in memory would double what a large model takes there; without a
    name, so that nothing is left behind whatever happens.

    Args:
        model: A built model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables = _keras.variables_of(model)
        self._file = tempfile.TemporaryFile()
        weakref.finalize(self, self._file.close)
        self._saved: list[Any] = []

    def save(self) -> None:
        """Keeps the state as it is now, in place of an earlier one."""
        self._saved = []
        self._file.seek(0)
        try:
            for variable in _keras.state_of(self._model):
                np.save(self._file, self._read(variable), allow_pickle=False)
                self._saved.append(variable)
            self._file.flush()
        except OSError as error:
            self._saved = []
            _log.warning("The weights could not be kept for a NaN loss (%s).", error)

    def restore(self) -> bool:
        """Brings the state back; gives whether there was one.

        What the optimizer has got since then becomes zero, as it begins.
        """
        if not self._saved:
            return False
        self._file.seek(0)
        for variable in self._saved:
            self._variables.write(variable, np.load(self._file))
        known = {id(variable) for variable in self._saved}
        for variable in _keras.state_of(self._model):
            if id(variable) not in known:
                self._variables.write(variable, np.zeros_like(self._read(variable)))
        return True

    def _read(self, variable: Any) -> np.ndarray:
        array = self._variables.read(variable)
        # The format of numpy's files does not know it.
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
