"""A callback that saves the best epoch at the target sparsity."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit._tools.checks import as_path, check_flag, is_number, is_one_of
from keras_prune_kit._tools.file_notes import read_note, write_note
from keras_prune_kit._tools.files import replacing_folder
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.pruner import IncompletePruningWarning, active_pruner

_MODES = ("auto", "min", "max")


class TargetSparsityCheckpoint(TwoWorldCallback):
    """Callback that saves the best epoch among those at the target sparsity.

    A plain `ModelCheckpoint(save_best_only=True)` often keeps an early epoch, which is
    better only because it is not pruned yet. This callback runs Keras'
    `ModelCheckpoint` on the epochs at the target only.

    A `fit` that goes on after its first epoch (`BackupAndRestore`, `initial_epoch`)
    replaces a `.keras` or `.h5` file of before only with a better epoch: the value of
    `monitor` is noted in the file. A `fit` from its first epoch begins anew.

    Args:
        filepath: The path to save to, as in `ModelCheckpoint`.
        monitor: The entry of `logs` to compare epochs by. Defaults to `"val_loss"`.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`:
            the direction of the Keras metric, or else the one that its name implies.
        save_weights_only: If True, save only the weights. Defaults to `False`.

    Attributes:
        best: The value of `monitor` in the saved epoch; `None` if there is none yet.

    Raises:
        ValueError: From `fit`, if no pruner is active on the model, or if the mode of
            `monitor` is unknown.

    Example:

    ```python
    best = kpk.TargetSparsityCheckpoint("best.keras", monitor="val_accuracy")
    model.fit(x, y, validation_data=(xv, yv), callbacks=[pruning, best])
    ```
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        *,
        mode: str = "auto",
        save_weights_only: bool = False,
    ) -> None:
        super().__init__()
        self.filepath = os.fspath(as_path("filepath", filepath))
        if not isinstance(monitor, str):
            raise TypeError(
                f"monitor is the name of an entry of logs. Received: {monitor!r}."
            )
        if not is_one_of(mode, _MODES):
            raise ValueError(
                f"mode is one of {_MODES}. Received: mode={mode!r}."
                + did_you_mean(mode, _MODES)
            )
        check_flag("save_weights_only", save_weights_only)
        self.monitor = monitor
        self.mode = mode
        self.save_weights_only = save_weights_only
        self.best: float | None = None
        self._checkpoint: Any = None
        self._has_seen_target: bool | None = None  # `None` before the first epoch.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._has_seen_target = None
        self.best = None
        self._checkpoint = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        pruner = active_pruner(self.model)
        if pruner is None:
            raise ValueError(
                "TargetSparsityCheckpoint needs a PruningCallback in the same fit."
            )
        self._has_seen_target = self._has_seen_target or pruner.is_at_target
        logs = logs or {}
        if self._checkpoint is None:
            if epoch and self.best is None:
                self.best = self._best_of_before()
            self._checkpoint = self._open(logs)
        if pruner.is_at_target:
            self._save(self._checkpoint or self._keras_checkpoint("min"), epoch, logs)

    def _best_of_before(self) -> float | None:
        """Return the value that the file of an interrupted `fit` has noted."""
        path = Path(self.filepath)
        note = read_note(path) if path.is_file() else None
        if note is None or note.get("monitor") != self.monitor:
            return None
        value = note.get("value")
        return float(value) if is_number(value) else None

    def _open(self, logs: dict[str, Any]) -> Any:
        """Return Keras' checkpoint; `None` if `monitor` and its mode are unknown."""
        mode = self.mode
        if mode == "auto":
            # Not before: Keras creates most metrics in the first epoch.
            mode = _keras.metric_direction(self.model, self.monitor)
        if mode is None and self.monitor not in logs:
            return None  # Keras' checkpoint warns that it is missing.
        return self._keras_checkpoint(_keras.known_direction(self.monitor, mode))

    def _keras_checkpoint(self, mode: str) -> Any:
        checkpoint = _keras.callback_namespace(self.model).ModelCheckpoint(
            self.filepath,
            monitor=self.monitor,
            mode=mode,
            save_weights_only=self.save_weights_only,
            save_best_only=True,
            initial_value_threshold=self.best,
        )
        checkpoint.set_params(self.params)
        # Of a Distiller, only the student is pruned.
        checkpoint.set_model(_keras.trained_model(self.model))
        checkpoint.on_train_begin()
        return checkpoint

    def _save(self, checkpoint: Any, epoch: int, logs: dict[str, Any]) -> None:
        """Let Keras' checkpoint save to a temporary folder, then move the files."""
        folder, name = os.path.split(self.filepath)
        # Keras fills in the placeholders of the name, but never sees the folder.
        # A bare name has no folder: it stands for a file in the current one.
        place = folder.format(epoch=epoch + 1, **logs) or os.curdir
        with replacing_folder(place) as part:
            checkpoint.filepath = os.fspath(part / name)
            checkpoint.on_epoch_end(epoch, logs)
            if self.monitor in logs:
                # A plain number: Keras keeps a numpy scalar or a float.
                self.best = np.asarray(checkpoint.best).item()
                for path in part.iterdir():
                    write_note(path, {"monitor": self.monitor, "value": self.best})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._has_seen_target is False:
            warnings.warn(
                "No epoch ended at the target sparsity, so nothing was saved to "
                f"{self.filepath}.",
                IncompletePruningWarning,
                stacklevel=2,
            )
