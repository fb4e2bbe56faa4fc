"""The callback that a killed training goes on from."""

from __future__ import annotations

import contextlib
import os
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

_EPOCH = "epoch_"


class BackupAndRestore(TwoWorldCallback):
    """Keras' callback of that name, with a backup that is whole at any moment.

    Keras 3 writes over its only backup; a process that is killed meanwhile cannot go on
    from it, and neither from the first with `double_checkpoint=True`. Here Keras' own
    files of an epoch are written elsewhere and moved to their place at once, and only
    then those of the epoch before go. With a `tf_keras` model this is its own callback.

    Args:
        backup_dir: A folder of its own for the backup. It is made if it is not there.
        delete_checkpoint: Whether to remove it when training has come to its end.
            Defaults to `True`.

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
        self._at_work = kind(
            os.fspath(self.backup_dir), delete_checkpoint=self.delete_checkpoint
        )
        self._at_work.set_model(self.model)
        self._at_work.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._at_work.on_train_end(logs)
        self._at_work = None  # So that it can be copied.


class _WholeBackup(keras.callbacks.Callback):
    """Backups in folders of their own, each filled by Keras' callback."""

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
        self._remove(self._backups()[:-1])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._goes_at_the_end and self._place.is_dir():
            self._remove(self._backups())
            with contextlib.suppress(OSError):  # What else is in it stays.
                self._place.rmdir()

    def _backups(self) -> list[Path]:
        """All that are there, the latest last: more than one after a kill."""
        found = self._place.glob(f"{_EPOCH}*")
        return sorted(filter(_number, found), key=lambda path: int(_number(path)))

    def _remove(self, backups: list[Path]) -> None:
        """Removes folders, of which nobody ever sees a half."""
        with scratch_folder(self._place) as trash:
            for folder in backups:
                os.replace(folder, trash / folder.name)

    def _in(self, folder: Path) -> Any:
        """Keras' own callback at work in a folder."""
        callback = keras.callbacks.BackupAndRestore(os.fspath(folder))
        callback.set_model(self.model)
        return callback


def _number(backup: Path) -> str:
    """The epoch of a backup; empty if it is none of ours."""
    number = backup.name.removeprefix(_EPOCH)
    return number if number.isdecimal() else ""
