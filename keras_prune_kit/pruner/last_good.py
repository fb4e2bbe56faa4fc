"""The state of a model before its loss became NaN."""

from __future__ import annotations

import logging
import math
import tempfile
import time
import weakref
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.pruner.errors import DivergedError

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
        moment: The moment of the kept state, in words; `None` before there is one.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables = _keras.variables_of(model)
        self._files: list[Any] = []  # The kept one, and one to write to.
        self._saved: list[Any] = []
        self._due = 0.0
        self.moment: str | None = None

    def save_if_due(self, moment: str) -> None:
        """Keep the state as it is now, if all of it is finite, in place of the last.

        This is skipped while it would take more than a fiftieth of the time.

        Args:
            moment: Its name in messages, such as "after batch 3 of epoch 1".
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
            self._files.reverse()
            self._saved, self.moment = saved, moment
        end = time.monotonic()
        self._due = end + _REST * (end - begin)

    def give_up(self, reason: str) -> DivergedError:
        """Bring the kept state back and return the error that says so.

        Args:
            reason: The sign of divergence, as a sentence.
        """
        error = DivergedError(reason)
        if self.moment is not None:
            self.restore()
            error.restored_moment = self.moment
        return error

    def forget(self) -> None:
        """Let go of the kept state."""
        self._files, self._saved, self.moment, self._due = [], [], None, 0.0

    def restore(self) -> None:
        """Bring the kept state back.

        Variables that the optimizer has created since become zero, as they begin.
        """
        self._files[0].seek(0)
        for variable in self._saved:
            self._variables.write(variable, np.load(self._files[0]))
        known = {id(variable) for variable in self._saved}
        for variable in _keras.state_of(self._model):
            if id(variable) not in known:
                self._variables.write(variable, np.zeros_like(self._read(variable)))

    def _write(self) -> list[Any] | None:
        """Fill the spare file and return its variables; `None` if one is not finite."""
        while len(self._files) < 2:
            self._files.append(tempfile.TemporaryFile())
            weakref.finalize(self, self._files[-1].close)
        saved, spare = _keras.state_of(self._model), self._files[1]
        spare.seek(0)
        for variable in saved:
            array = self._read(variable)
            if not np.isfinite(array).all():
                return None
            np.save(spare, array, allow_pickle=False)
        spare.flush()
        return saved

    def _read(self, variable: Any) -> np.ndarray:
        array = self._variables.read(variable)
        # The .npy format has no bfloat16.
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
