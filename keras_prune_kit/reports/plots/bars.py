"""Bar charts of the sizes and scores of models."""

from __future__ import annotations

import os
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_prune_kit.reports.colors import BLUE, ORANGE
from keras_prune_kit.reports.measurement import Measurement
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.tables import bytes_text

_MARGIN, _BAR = 0.5, 0.5  # inches above the bars, and for each
_ROOM_FOR_LABELS = 1.28  # Labels stand right of the bars.


def plot_sizes(
    measurements: Sequence[Measurement], path: str | os.PathLike[str]
) -> None:
    """Draw the gzipped size of each model as a bar, the first one on top.

    Args:
        measurements: One per model, the reference first.
        path: Where to write the picture; the extension selects the format.
    """
    figure, (axes,) = _panels(1, len(measurements))
    _draw_sizes(axes, measurements)
    write(figure, path)


def plot_scores(
    measurements: Sequence[Measurement], path: str | os.PathLike[str]
) -> None:
    """Draw the score of each model as a bar, the first one on top."""
    figure, (axes,) = _panels(1, len(measurements))
    _draw_scores(axes, measurements)
    write(figure, path)


def plot_sizes_and_scores(
    measurements: Sequence[Measurement], path: str | os.PathLike[str]
) -> None:
    """Draw the size of each model as a bar, and the scores below."""
    figure, (sizes, scores) = _panels(2, len(measurements))
    _draw_sizes(sizes, measurements)
    _draw_scores(scores, measurements)
    write(figure, path)


def _panels(count: int, bars: int) -> tuple[Figure, list[Axes]]:
    height = count * (_MARGIN + _BAR * bars)
    # Not `pyplot`, which keeps every figure in memory and may need a display.
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    # `squeeze=False` gives an array even for a single panel.
    return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _draw_sizes(axes: Axes, measurements: Sequence[Measurement]) -> None:
    first = measurements[0].gzip_bytes
    sizes = [m.gzip_bytes for m in measurements]
    labels = [f"{bytes_text(size)}  ({first / size:.1f}x)" for size in sizes]
    axes.set_title("Size, gzipped", loc="left")
    _draw_bars(axes, _names(measurements), sizes, labels, ORANGE)


def _draw_scores(axes: Axes, measurements: Sequence[Measurement]) -> None:
    scores = [m.score for m in measurements]
    axes.set_title(measurements[0].metric.replace("_", " ").capitalize(), loc="left")
    labels = [f"{score:.4f}" for score in scores]
    _draw_bars(axes, _names(measurements), scores, labels, BLUE)


def _names(measurements: Sequence[Measurement]) -> list[str]:
    return [f"{m.name} {m.file}" for m in measurements]


def _draw_bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    color: str,
) -> None:
    """Draw horizontal bars from top to bottom, each with its value next to it."""
    bars = axes.barh(range(len(names)), values, color=color, height=0.65)
    axes.set_yticks(range(len(names)), names)
    # matplotlib draws the first bar at the bottom.
    axes.invert_yaxis()
    axes.bar_label(bars, labels, padding=4)
    # Scores such as R2 may be negative, and all may be zero.
    axes.set_xlim(min(0, *values), max(*values, 0) * _ROOM_FOR_LABELS or 1)
    # The labels show the values already.
    axes.set_xticks([])
    open_frame(axes, "top", "right", "bottom")
