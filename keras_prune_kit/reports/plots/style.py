"""What all pictures share: their size and their frame."""

from __future__ import annotations

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_prune_kit._tools.checks import as_path

DPI = 120
WIDTH = 8  # inches: 960 pixels


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a picture in the format that the ending of its path names.

    Raises:
        ValueError: If the ending names none.
    """
    ending = as_path("path", path).suffix
    known = figure.canvas.get_supported_filetypes()
    if ending[1:].lower() not in known:
        raise ValueError(
            f"path must end in a format of pictures: {', '.join(sorted(known))}. "
            f"Received: '{path}'."
        )
    figure.savefig(path, dpi=DPI)


def open_frame(axes: Axes, *sides: str) -> None:
    """Takes away the sides of the frame that say nothing."""
    axes.spines[list(sides)].set_visible(False)
