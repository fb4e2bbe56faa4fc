"""Short notes inside model files, which Keras does not read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

_NAME = "keras_prune_kit.json"


def write_note(path: Path, note: dict[str, Any]) -> None:
    """Add a note to a `.keras` or `.h5` file; files of other formats stay as they are.

    Args:
        path: A file that has no note yet.
        note: A value for JSON.
    """
    text = json.dumps(note)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(_NAME, text)
    elif path.is_file() and h5py.is_hdf5(path):
        with h5py.File(path, "a") as file:
            file.attrs[_NAME] = text


def read_note(path: Path) -> dict[str, Any] | None:
    """Return the note in a file; `None` if there is none that can be read."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                note = json.loads(archive.read(_NAME))
        else:
            with h5py.File(path, "r") as file:
                note = json.loads(str(file.attrs[_NAME]))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return note if isinstance(note, dict) else None
