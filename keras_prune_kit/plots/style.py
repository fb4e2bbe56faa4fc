"""What all pictures share: their size and their frame."""

from __future__ import annotations

from matplotlib.axes import Axes

DPI = 120
WIDTH = 8  # inches: 960 pixels


def open_frame(axes: Axes, *sides: str) -> None:
    """Takes away the sides of the frame that say nothing."""
    axes.spines[list(sides)].set_visible(False)
