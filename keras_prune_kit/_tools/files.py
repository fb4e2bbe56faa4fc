"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from keras_prune_kit._tools.checks import as_path

if sys.platform != "win32":
    import fcntl

_SCRATCH = ".keras_prune_kit-"


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Gives a folder that is gone at the end.

    What a process that was killed has left behind goes when the next one asks for a
    folder in the same place (on Windows it stays).

    Args:
        parent: Where to make it. Defaults to `None`: where the system keeps its own.

    Raises:
        OSError: If it cannot be made.
    """
    place = Path(parent or tempfile.gettempdir())
    for left in place.glob(f"{_SCRATCH}*"):
        with _lock(left, wait=False) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=place))
        with _lock(folder, wait=True):
            if not folder.exists():  # Taken for a left one before it was locked.
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path to write to; what is written there replaces `path` at the end.

    After an error, whatever was at `path` is still there and nothing else is.

    Args:
        path: The file to write. Its folder must be there.

    Raises:
        OSError: At once, if the folder is missing or cannot be written to.
    """
    target = as_path("path", path)
    check_writable(target)
    with scratch_folder(target.parent) as folder:
        # The ending stays: Keras and matplotlib choose the format by it.
        part = folder / target.name
        with telling_full_disk(target):
            yield part
        os.replace(part, target)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a folder to write files to, which all move to `path` at the end.

    After an error, whatever was at `path` is still there and nothing else is. Files of
    other names that are there stay.

    Args:
        path: The folder to write. It is made if it is not there.

    Raises:
        OSError: At once, if it cannot be made or written to.
    """
    target = as_path("path", path)
    check_writable_folder(target)
    if target.is_dir():
        # Inside, as the folder may be a file system of its own.
        with scratch_folder(target) as folder:
            with telling_full_disk(target):
                yield folder
            _move_all(folder, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent) as folder:
        part = folder / target.name
        part.mkdir()
        with telling_full_disk(target):
            yield part
        try:
            os.replace(part, target)
        except OSError:
            if not target.is_dir():
                raise
            _move_all(part, target)  # Another process has made it meanwhile.


@contextlib.contextmanager
def telling_full_disk(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says where there is no space left, in whatever words code of others found out.

    Args:
        path: The file or folder that is being written.

    Raises:
        OSError: In place of any error that means so.
    """
    try:
        yield
    except Exception as error:
        is_full = getattr(error, "errno", None) == errno.ENOSPC
        if not is_full and os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, "The disk is full", os.fspath(path)) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises an `OSError` that says so if a file cannot be written at `path`."""
    target = as_path("path", path)
    if target.is_dir():
        raise IsADirectoryError(
            f"A path to a file is needed, this is a folder. Received: {target}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"The folder to write to is not there; make it first. Received: {target}."
        )
    _try_to_write(target.parent)


def check_writable_folder(path: str | os.PathLike[str]) -> None:
    """Raises an `OSError` that says so if `path` cannot be a folder with files."""
    target = Path(path)
    there = next(item for item in (target, *target.absolute().parents) if item.exists())
    if not there.is_dir():
        raise NotADirectoryError(
            f"A folder to write to is needed, {there} is a file. Received: {target}."
        )
    _try_to_write(there)


def _try_to_write(folder: Path) -> None:
    """Raises an `OSError` if nothing can be written to the folder."""
    # Permissions alone do not tell: root has them all, even where no disk is.
    try:
        with scratch_folder(folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"The folder cannot be written to ({error.strerror}). Received: {folder}."
        ) from error


@contextlib.contextmanager
def _lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Holds the lock that every process has on its own; tells whether it could."""
    if sys.platform == "win32":
        yield False
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Gone, or another user's.
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            has_it = True
        except OSError:  # In use, or a file system without locks.
            has_it = False
        yield has_it
    finally:
        os.close(descriptor)


def _move_all(folder: Path, target: Path) -> None:
    with _interrupts_wait():
        for part in folder.iterdir():
            _move(part, target / part.name)


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():  # A SavedModel, which replaces another.
        shutil.rmtree(target)
    os.replace(source, target)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Lets Ctrl-C take effect only after the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if seen:
            signal.raise_signal(signal.SIGINT)


def gzip_size(content: bytes) -> int:
    """Return the bytes of a gzip file of level 9 without a timestamp.

    Args:
        content: The bytes to compress.
    """
    return len(gzip.compress(content, compresslevel=9, mtime=0))
