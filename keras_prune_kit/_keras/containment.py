"""Model files that reach out: paths and links in them that lead to other files."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import h5py


def check_contained(path: str) -> None:
    """Raises a `ValueError` if a model file would read or write other files.

    Loading an archive unpacks what is in it, and HDF5 knows links to other files and
    datasets whose values are in other files.

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
    for kind in (PurePosixPath, PureWindowsPath):
        inside = kind(name)
        if inside.anchor or ".." in inside.parts:
            raise ValueError(f"the archive has a path that leads out of it: {name!r}")


def _check_links(group: h5py.Group) -> None:
    for name in group:
        link: Any = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"it has a link to another file: {link.filename!r}")
        if not isinstance(link, h5py.HardLink):  # What a soft one names is here, too.
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_links(item)
        elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise ValueError(f"the values of '{item.name}' are in another file")
