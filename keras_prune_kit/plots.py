"""Pictures of the records."""

from __future__ import annotations

import os
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_prune_kit.reports.compression import Stage

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE = "#0072B2", "#E69F00"
_DPI = 120


def plot_stages(
    stages: Sequence[Stage], metric: str, path: str | os.PathLike[str]
) -> None:
    """Draws two rows of bars: gzipped size and score of each stage.

    Args:
        stages: The baseline first.
        metric: The name of the score.
        path: Where to write the picture; the ending chooses the format.
    """
    figure = Figure(figsize=(8, 1.6 + 1.0 * len(stages)), layout="constrained")
    sizes, scores = figure.subplots(2, 1)
    names = [stage.name for stage in stages]
    first = stages[0].gzip_bytes
    _bars(
        sizes,
        names,
        [stage.gzip_bytes for stage in stages],
        [f"{_bytes(s.gzip_bytes)}  ({first / s.gzip_bytes:.1f}x)" for s in stages],
        ORANGE,
    )
    sizes.set_title("Size, gzipped", loc="left")
    _bars(
        scores,
        names,
        [stage.score for stage in stages],
        [f"{stage.score:.4f}" for stage in stages],
        BLUE,
    )
    scores.set_title(f"{metric} on the validation data".capitalize(), loc="left")
    figure.savefig(path, dpi=_DPI)


def _bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    color: str,
) -> None:
    """Horizontal bars from the top down, each with its value written beside it."""
    bars = axes.barh(range(len(names)), values, color=color, height=0.65)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.bar_label(bars, labels, padding=4)
    axes.set_xlim(0, max(values) * 1.25 or 1)
    # The values stand beside the bars; a scale would say them again.
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _bytes(count: float) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
