"""A check for paths and links in a model file that lead to other files."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import h5py


def check_contained(path: str) -> None:
    """Raise a `ValueError` if loading a model file could access other files.

    Keras unpacks the archive, whose paths may lead out of it, and HDF5 supports links
    to other files and datasets whose values are stored in other files.

    Args:
        path: A `.keras` or `.h5` file.
    """
    if not zipfile.is_zipfile(path):
        with h5py.File(path) as file:
            _check_links(file)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            _check_name(name)
            if name.endswith(".h5"):
                with h5py.File(io.BytesIO(archive.read(name)), "r") as file:
                    _check_links(file)


def _check_name(name: str) -> None:
    # Only Windows reads backslashes and drive letters as parts of a path.
    for kind in (PurePosixPath, PureWindowsPath):
        inside = kind(name)
        if inside.anchor or ".." in inside.parts:
            raise ValueError(f"the archive has a path that leads out of it: {name!r}")


def _check_links(group: h5py.Group) -> None:
    for name in group:
        link: Any = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"it has a link to another file: {link.filename!r}")
        if not isinstance(link, h5py.HardLink):
            continue  # The target of a soft link is in this file and visited itself.
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_links(item)
        elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise ValueError(f"the values of '{item.name}' are in another file")
