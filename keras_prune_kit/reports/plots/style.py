"""Size, frame and file format of all pictures."""

from __future__ import annotations

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_prune_kit._tools.checks import as_path

DPI = 120
WIDTH = 8  # inches: 960 pixels


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture in the format that the extension of its path selects.

    Raises:
        ValueError: If the extension is not that of a supported format.
    """
    # Without an extension, `savefig` adds one and so writes to another path.
    ending = as_path("path", path).suffix
    known = figure.canvas.get_supported_filetypes()
    if ending[1:].lower() not in known:
        raise ValueError(
            f"path must have an extension of {', '.join(sorted(known))}. "
            f"Received: '{path}'."
        )
    figure.savefig(path, dpi=DPI)


def open_frame(axes: Axes, *sides: str) -> None:
    """Hide some sides of the frame."""
    axes.spines[list(sides)].set_visible(False)
