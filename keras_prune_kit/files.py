"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path to write to; what is written there replaces `path` at the end.

    After an error, whatever was at `path` is still there and nothing else is.

    Args:
        path: The file to write. Its folder must be there.

    Raises:
        OSError: At once, if the folder is missing or cannot be written to.
    """
    target = Path(path)
    check_writable(target)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as folder:
        # The ending stays: Keras and matplotlib choose the format by it.
        part = Path(folder) / target.name
        yield part
        os.replace(part, target)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises an `OSError` that says so if a file cannot be written at `path`."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(
            f"A path to a file is needed, this is a folder. Received: {target}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"The folder to write to is not there; make it first. Received: {target}."
        )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"The folder cannot be written to. Received: {target}.")
