"""The context of a trial, which a hypermodel only gets through callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras


@dataclass(frozen=True)
class TrialContext:
    """The tuner and the trial that a hypermodel works for.

    Attributes:
        tuner: A KerasTuner tuner.
        trial: Its trial.
        checkpoint: KerasTuner's checkpoint callback, which stores the best value of the
            trial's executions; `None` if there is none.
    """

    tuner: Any
    trial: Any
    checkpoint: Any = None

    @classmethod
    def found_in(
        cls, callbacks: Sequence[Any], model: Any
    ) -> tuple[TrialContext | None, list[Any]]:
        """Return the context found in callbacks, and the callbacks to train with.

        KerasTuner's checkpoint is removed from these: it would save the best epoch,
        often an early one that is not pruned yet, instead of the measured model. So are
        KerasTuner's callbacks that are not of the model's Keras.

        Args:
            callbacks: The callbacks passed to `HyperModel.fit`.
            model: The model to be trained.
        """
        is_checkpoint = [type(c).__name__ == "SaveBestEpoch" for c in callbacks]
        pairs = list(zip(callbacks, is_checkpoint, strict=True))
        checkpoint = next((c for c, found in pairs if found), None)
        base = _keras.callback_namespace(model).Callback
        kept = [
            c
            for c, found in pairs
            if not found and (isinstance(c, base) or not _knows_trial(c))
        ]
        for callback in callbacks:
            if _knows_trial(callback):
                return cls(callback.tuner, callback.trial, checkpoint), kept
        return None, kept

    @property
    def objective(self) -> Any:
        """The objective of the search."""
        return self.tuner.oracle.objective

    @property
    def folder(self) -> Path:
        """The folder of the trial."""
        return Path(self.tuner.get_trial_dir(self.trial.trial_id))

    def is_best(self, value: float) -> bool:
        """Return True if this execution is the trial's best so far, and record it.

        Args:
            value: The value of the objective.
        """
        if self.checkpoint is None:
            return True
        if not self.objective.better_than(value, self.checkpoint.best_value):
            return False
        self.checkpoint.best_value = value
        return True


def _knows_trial(callback: Any) -> bool:
    # KerasTuner's TunerCallback, or a `TrialContext` from `CompressionTuner`.
    return hasattr(callback, "tuner") and hasattr(callback, "trial")
