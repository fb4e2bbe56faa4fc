"""A callback with which a killed training run can resume."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import keras

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit._tools.checks import as_path, check_flag
from keras_prune_kit._tools.files import (
    check_writable_folder,
    replacing_folder,
    scratch_folder,
)

_EPOCH, _FIT = "epoch_", "fit_"

# The fits of this process that have ended and removed their backup, by its folder.
_ended: Counter[Path] = Counter()


class BackupAndRestore(TwoWorldCallback):
    """Keras' `BackupAndRestore` with a backup that is complete at any moment.

    Keras 3 overwrites its only backup. A process that is killed while writing it cannot
    resume; with `double_checkpoint=True`, that is still so for the first backup. Here,
    Keras writes the files of an epoch to a temporary folder, which is then renamed in
    one step; only after that is the previous backup removed. For a `tf_keras` model,
    the callback of `tf_keras` is used unchanged.

    Several `fit`s of a script can share a folder: after a kill, run the script again,
    and the second `fit` takes up the backup of the second. Those before it train again,
    unless their backups are kept in folders of their own.

    Args:
        backup_dir: A folder for the backup only; created if missing.
        delete_checkpoint: If True, remove the backup at the end of training. Defaults
            to `True`.

    Raises:
        OSError: From `fit`, if the folder cannot be written to.

    Example:

    ```python
    backup = kpk.BackupAndRestore("run/backup")
    model.fit(x, y, epochs=5, callbacks=[backup, pruning])
    ```
    """

    def __init__(
        self, backup_dir: str | os.PathLike[str], *, delete_checkpoint: bool = True
    ) -> None:
        super().__init__()
        self.backup_dir = as_path("backup_dir", backup_dir)
        check_flag("delete_checkpoint", delete_checkpoint)
        self.delete_checkpoint = delete_checkpoint
        self._at_work: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_writable_folder(self.backup_dir)
        own = _keras.callback_namespace(self.model).BackupAndRestore
        kind = own if _keras.is_tf_keras(self.model) else _WholeBackup
        place = _place_of(self.backup_dir, _ended[self.backup_dir.resolve()] + 1)
        self._at_work = kind(os.fspath(place), delete_checkpoint=self.delete_checkpoint)
        self._at_work.set_model(self.model)
        self._at_work.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_train_end(logs)
        self._at_work = None  # KerasTuner deep-copies callbacks.
        if self.delete_checkpoint:
            _ended[self.backup_dir.resolve()] += 1
            with contextlib.suppress(OSError):  # Something else is in it, or it went.
                self.backup_dir.rmdir()


class _WholeBackup(keras.callbacks.Callback):
    """Callback that has Keras' callback write each epoch's backup to a new folder."""

    def __init__(self, backup_dir: str, *, delete_checkpoint: bool) -> None:
        super().__init__()
        self._place = Path(backup_dir)
        self._goes_at_the_end = delete_checkpoint

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        backups = self._backups()
        if backups:
            self._in(backups[-1]).on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with replacing_folder(self._place / f"{_EPOCH}{epoch + 1}") as part:
            self._in(part).on_epoch_end(epoch, logs)
        # Only now, as a kill before this line must leave a whole backup.
        self._remove(self._backups()[:-1])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._goes_at_the_end and self._place.is_dir():
            self._remove(self._backups())
            with contextlib.suppress(OSError):  # The user has other files in it.
                self._place.rmdir()

    def _backups(self) -> list[Path]:
        """Return all backups, the latest last; a kill can leave more than one."""
        found = self._place.glob(f"{_EPOCH}*")
        # By number: as text, `epoch_10` comes before `epoch_9`.
        return sorted(filter(_number, found), key=lambda path: int(_number(path)))

    def _remove(self, backups: list[Path]) -> None:
        """Remove backups; a rename first ensures that no partial one is ever found."""
        with scratch_folder(self._place) as trash:
            for folder in backups:
                os.replace(folder, trash / folder.name)  # Atomic, unlike `rmtree`.

    def _in(self, folder: Path) -> Any:
        """Return Keras' callback for the backup in a folder."""
        callback = keras.callbacks.BackupAndRestore(os.fspath(folder))
        callback.set_model(self.model)
        return callback


def _place_of(folder: Path, number: int) -> Path:
    """Return the folder for the backup of a `fit`, by its number in the process."""
    if number > 1:
        return folder / f"{_FIT}{number}"
    # tf_keras leaves empty folders behind.
    later = [path for path in folder.glob(f"{_FIT}*/**/*") if path.is_file()]
    if later:
        name = later[0].relative_to(folder).parts[0]
        warnings.warn(
            f"This is the first fit with a backup in {folder}, and the backup there, "
            f"{name}, is of a later one of the run before: this fit trains from its "
            "first epoch, and the later one resumes. To resume from every fit, give "
            "each a folder of its own.",
            stacklevel=5,
        )
    return folder


def _number(backup: Path) -> str:
    """Return the epoch in the name of a backup; empty if it is not one."""
    number = backup.name.removeprefix(_EPOCH)
    return number if number.isdecimal() else ""
