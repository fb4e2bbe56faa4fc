"""Atomic writing of files and folders, and checks for writability."""

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
    """Create a temporary folder that is removed after the `with` block.

    The folder of a killed process is removed by the next call for the same parent (not
    on Windows).

    Args:
        parent: The folder to create it in. Defaults to the system's temporary folder.

    Yields:
        The path of the folder.

    Raises:
        OSError: If it cannot be created.
    """
    place = Path(parent or tempfile.gettempdir())
    for left in place.glob(f"{_SCRATCH}*"):
        # The system releases the lock of a killed process.
        with _lock(left, wait=False) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=place))
        with _lock(folder, wait=True):
            if not folder.exists():  # Another process removed it before it was locked.
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` after the `with` block.

    After an error, `path` is unchanged and no other file remains.

    Args:
        path: The file to write. Its folder must exist.

    Raises:
        OSError: Before the block, if the folder is missing or cannot be written to.
    """
    target = as_path("path", path)
    check_writable(target)
    with scratch_folder(target.parent) as folder:
        # Same suffix: Keras and matplotlib choose the format by it.
        part = folder / target.name
        with telling_full_disk(target):
            yield part
        os.replace(part, target)  # Atomic, as both are on one file system.


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder, whose files move to `path` after the `with` block.

    After an error, `path` is unchanged. Existing files of other names are kept.

    Args:
        path: The folder to write. It is created if missing.

    Raises:
        OSError: Before the block, if it cannot be created or written to.
    """
    target = as_path("path", path)
    check_writable_folder(target)
    if target.is_dir():
        # Inside it, as the folder may be a mount point, across which no rename works.
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
            _move_all(part, target)  # Another process has created it meanwhile.


@contextlib.contextmanager
def telling_full_disk(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn any error about a full disk into an `OSError` that names the path.

    HDF5 and other libraries raise errors of their own, with only the text of the cause.

    Args:
        path: The file or folder that is being written.

    Raises:
        OSError: If the disk is full.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow and HDF5 put the system's text into errors without an `errno`.
        is_full = getattr(error, "errno", None) == errno.ENOSPC
        if not is_full and os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, "The disk is full", os.fspath(path)) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an `OSError` if a file cannot be written at `path`."""
    target = as_path("path", path)
    if target.is_dir():
        raise IsADirectoryError(
            f"A path to a file is needed, this is a folder. Received: {target}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"The folder to write to is not there; create it first. Received: {target}."
        )
    _try_to_write(target.parent)


def check_writable_folder(path: str | os.PathLike[str]) -> None:
    """Raise an `OSError` if files cannot be written to a folder at `path`."""
    target = Path(path)
    there = next(item for item in (target, *target.absolute().parents) if item.exists())
    if not there.is_dir():
        raise NotADirectoryError(
            f"A folder to write to is needed, {there} is a file. Received: {target}."
        )
    _try_to_write(there)


def _try_to_write(folder: Path) -> None:
    """Raise an `OSError` if nothing can be written to the folder."""
    # Permission bits do not tell: root has them all, even where nothing can be made,
    # as in /proc.
    try:
        with scratch_folder(folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"The folder cannot be written to ({error.strerror}). Received: {folder}."
        ) from error


@contextlib.contextmanager
def _lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder for this process during the block; yield True on success."""
    if sys.platform == "win32":
        yield False
        return
    try:
        # A folder cannot be opened for writing, and `flock` does not ask for it.
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Removed meanwhile, or another user's.
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            has_it = True
        except OSError:  # Locked by a process, or a file system without locks.
            has_it = False
        yield has_it
    finally:
        os.close(descriptor)  # Releases the lock.


def _move_all(folder: Path, target: Path) -> None:
    # Between two moves, some files would be new and some old.
    with _interrupts_wait():
        for part in folder.iterdir():
            _move(part, target / part.name)


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():  # A SavedModel, which replaces another.
        # A rename cannot replace a folder that is not empty.
        shutil.rmtree(target)
    os.replace(source, target)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Delay Ctrl-C until after the block."""
    # Only the main thread may set signal handlers, and only it is interrupted.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        # `before` is `None` if a handler was not installed from Python.
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if seen:
            # Now for the handler that was there before.
            signal.raise_signal(signal.SIGINT)


def gzip_size(content: bytes) -> int:
    """Return the size in bytes after gzip at level 9, without a timestamp.

    Args:
        content: The bytes to compress.
    """
    return len(gzip.compress(content, compresslevel=9, mtime=0))
