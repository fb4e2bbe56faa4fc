"""The pictures of scores against sizes and against latencies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from keras_prune_kit.reports.colors import BLUE, GREY, VERMILION
from keras_prune_kit.reports.measurement import Measurement
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.tables import bytes_text

# Candidate positions of a name: offset from its marker in points, and alignment.
_PLACES = [
    ((sign * 8, 14 * lift), align)
    for lift in (0, 1, -1, 2, -2, 3, -3)
    for sign, align in ((1, "left"), (-1, "right"))
]
_MARK = 6  # pixels around the center of a marker that names must not cover


def plot_tradeoff(
    measurements: Sequence[Measurement], path: str | os.PathLike[str]
) -> None:
    """Draw the score of each model against its gzipped size, with its name.

    Args:
        measurements: One per model, the reference first; a line marks its score.
        path: Where to write the picture; the extension selects the format.
    """
    sizes = [m.gzip_bytes for m in measurements]
    _draw(
        measurements, sizes, "Size, gzipped (smaller is to the left)", bytes_text, path
    )


def plot_latency(
    measurements: Sequence[Measurement], path: str | os.PathLike[str]
) -> None:
    """Draw the score of each file against its latency, with its name.

    Args:
        measurements: One per file, the reference first; a line marks its score.
        path: Where to write the picture; the extension selects the format.
    """
    times = [m.latency_ms or 0.0 for m in measurements]
    label = "Latency of one sample, in milliseconds (faster is to the left)"
    _draw(measurements, times, label, lambda time: f"{time:.3g}", path)


def _draw(
    measurements: Sequence[Measurement],
    sizes: Sequence[float],
    label: str,
    text: Callable[[float], str],
    path: str | os.PathLike[str],
) -> None:
    figure = Figure(figsize=(WIDTH, 4.5), layout="constrained")
    axes = figure.subplots()
    scores = [m.score for m in measurements]
    axes.axhline(scores[0], color=GREY, linestyle="--", linewidth=1, zorder=0)
    colors = [VERMILION, *[BLUE] * (len(sizes) - 1)]
    axes.scatter(sizes, scores, color=colors, s=50)
    axes.set_xscale("log")
    # Room for the names beside the outer markers.
    axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
    # Equal scores have no spread, but the axis needs one.
    spread = max(scores) - min(scores) or max(abs(scores[0]), 1) / 100
    axes.set_ylim(min(scores) - 0.3 * spread, max(scores) + 0.3 * spread)
    axes.set_xlabel(label)
    axes.set_ylabel(measurements[0].metric.replace("_", " ").capitalize())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: text(size)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    open_frame(axes, "top", "right")
    figure.draw_without_rendering()  # Fixes the layout, which the labels need.
    _label_points(axes, sizes, scores, [m.name for m in measurements])
    write(figure, path)


def _label_points(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], names: Sequence[str]
) -> None:
    """Write each name next to its marker, at the first position that is free."""
    marks = axes.transData.transform(list(zip(xs, ys, strict=True)))
    # In pixels, as the size of a label does not depend on the axes.
    taken = [Bbox.from_extents(*(mark - _MARK), *(mark + _MARK)) for mark in marks]
    for x, y, name in zip(xs, ys, names, strict=True):
        label = axes.annotate(
            name, (x, y), xytext=(0, 0), textcoords="offset points", va="center"
        )
        for offset, align in _PLACES:
            label.set(position=offset, ha=align)
            box = label.get_window_extent()
            inside = axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1)
            if inside and not any(map(box.overlaps, taken)):
                break
        taken.append(label.get_window_extent())
