"""Snapshots of a model, to restore after its loss became NaN."""

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

_REST = 50  # pause before the next snapshot, in durations of the last one


class LastGood:
    """A snapshot of a model's weights and optimizer state in an unnamed file.

    A snapshot in memory would double the memory use of a large model. The file has no
    name, so that even a killed process leaves nothing behind. Two files alternate, so
    that one of them is complete at any time.

    Args:
        model: A built model.

    Attributes:
        moment: The moment of the snapshot, in words; `None` if there is none.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables = _keras.variables_of(model)
        self._files: list[Any] = []  # The snapshot, and the file for the next one.
        self._saved: list[Any] = []
        self._due = 0.0
        self.moment: str | None = None

    def save_if_due(self, moment: str) -> bool:
        """Replace the snapshot by the current state, unless that is NaN or infinite.

        Skip it if snapshots would take more than a fiftieth of the time.

        Args:
            moment: The current moment in messages, such as "after batch 3 of epoch 1".

        Returns:
            `False` if a value of the current state was found to be NaN or infinite.
        """
        # Not the wall clock, which can be set back.
        begin = time.monotonic()
        if begin < self._due:
            return True
        try:
            saved = self._write()
        except OSError as error:
            _log.warning("No snapshot could be saved for a NaN loss (%s).", error)
            # A disk that is full or read-only is not tried again.
            self._due = math.inf
            return True
        if saved is not None:
            self._files.reverse()
            self._saved, self.moment = saved, moment
        end = time.monotonic()
        self._due = end + _REST * (end - begin)
        return saved is not None

    def give_up(self, reason: str) -> DivergedError:
        """Restore the snapshot, if there is one, and return the error to raise.

        Args:
            reason: The symptom of divergence, as a sentence.
        """
        error = DivergedError(reason)
        if self.moment is not None:
            self.restore()
            error.restored_moment = self.moment
        return error

    def forget(self) -> None:
        """Discard the snapshot."""
        self._files, self._saved, self.moment, self._due = [], [], None, 0.0

    def restore(self) -> None:
        """Restore the snapshot.

        Variables that the optimizer has created since become zero, their initial value.
        """
        self._files[0].seek(0)
        for variable in self._saved:
            self._variables.write(variable, np.load(self._files[0]))
        known = {id(variable) for variable in self._saved}
        for variable in _keras.state_of(self._model):
            # Optimizers create most of their variables in the first step.
            if id(variable) not in known:
                self._variables.write(variable, np.zeros_like(self._read(variable)))

    def _write(self) -> list[Any] | None:
        """Write the state to the spare file; return `None` if it is not finite."""
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
        # A full disk shows here at the latest, while the older snapshot is intact.
        spare.flush()
        return saved

    def _read(self, variable: Any) -> np.ndarray:
        array = self._variables.read(variable)
        # The .npy format has no bfloat16.
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
