"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from keras_prune_kit.checks import as_path

_PART = ".part-"


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
    with tempfile.TemporaryDirectory(prefix=_PART, dir=target.parent) as folder:
        # The ending stays: Keras and matplotlib choose the format by it.
        part = Path(folder) / target.name
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
        with tempfile.TemporaryDirectory(prefix=_PART, dir=target) as folder:
            yield Path(folder)
            with _interrupts_wait():
                for part in Path(folder).iterdir():
                    os.replace(part, target / part.name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PART, dir=target.parent) as folder:
        part = Path(folder) / target.name
        part.mkdir()
        yield part
        os.replace(part, target)


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
        with tempfile.TemporaryDirectory(prefix=_PART, dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"The folder cannot be written to ({error.strerror}). Received: {folder}."
        ) from error


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
