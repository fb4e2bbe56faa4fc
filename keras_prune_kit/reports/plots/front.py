"""The picture of a search: all trials, and the front of the best ones."""

from __future__ import annotations

import os

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from keras_prune_kit.reports.colors import BLUE, GREY, VERMILION
from keras_prune_kit.reports.front import ParetoFront, visible_scores
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.tables import bytes_text


def plot_front(front: ParetoFront, path: str | os.PathLike[str]) -> None:
    """Draw the metric against gzipped size, with a line along the front.

    Args:
        front: Result of the search.
        path: Where to write the picture; the extension selects the format.
    """
    figure = Figure(figsize=(WIDTH, 4.5), layout="constrained")
    axes = figure.subplots()
    points = front.points
    others = [trial for trial in front.trials if trial not in points]
    axes.axhline(
        front.baseline_accuracy,
        color=GREY,
        linestyle="--",
        linewidth=1,
        label=f"{front.baseline_name}, {bytes_text(front.baseline_gzip_bytes)}",
    )
    limit = front.allowance.limit
    axes.axhline(limit, color=GREY, linestyle=":", linewidth=1, label="limit")
    axes.scatter(
        [trial.gzip_bytes for trial in others],
        [trial.accuracy for trial in others],
        color=GREY,
        s=25,
        label="other trials",
    )
    sizes, scores = zip(*((p.gzip_bytes, p.accuracy) for p in points), strict=True)
    # "post": between two trials, only the smaller one fits into a size.
    axes.step(sizes, scores, where="post", color=BLUE, linewidth=1.5)
    axes.scatter(sizes, scores, color=VERMILION, s=50, zorder=3, label="front")
    low, high = visible_scores(front)
    room = 0.08 * (high - low)
    axes.set_ylim(low - room, high + room)
    axes.set_xscale("log")
    axes.set_xlabel("Size of the .tflite, gzipped (smaller is to the left)")
    axes.set_ylabel(front.axis_title)
    # Sizes may span less than a power of ten, which would have no tick.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: bytes_text(size)))
    # Minor labels would overlap those of the major ticks.
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    open_frame(axes, "top", "right")
    hidden = sum(not low <= trial.accuracy <= high for trial in front.trials)
    title = f"{len(points)} of {len(front.trials)} trials are on the front"
    if hidden:
        title += f"; {hidden} {'below' if front.mode == 'max' else 'above'} the picture"
    axes.set_title(title, loc="left")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    write(figure, path)
