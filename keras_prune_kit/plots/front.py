"""All trials of a search, and the best of them."""

from __future__ import annotations

import os

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from keras_prune_kit.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.colors import BLUE, GREY, VERMILION
from keras_prune_kit.reports.front import ParetoFront
from keras_prune_kit.reports.tables import bytes_text

_FAR_BELOW = 3  # Times the spread of the front: what lies lower is left out.


def plot_front(front: ParetoFront, path: str | os.PathLike[str]) -> None:
    """Draws accuracy against gzipped size, with a line along the front.

    Args:
        front: What the search has found.
        path: Where to write the picture; the ending chooses the format.
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
        label=f"baseline, {bytes_text(front.baseline_gzip_bytes)}",
    )
    limit = front.baseline_accuracy - front.max_accuracy_drop
    axes.axhline(limit, color=GREY, linestyle=":", linewidth=1, label="limit")
    axes.scatter(
        [trial.gzip_bytes for trial in others],
        [trial.accuracy for trial in others],
        color=GREY,
        s=25,
        label="other trials",
    )
    sizes, scores = zip(*((p.gzip_bytes, p.accuracy) for p in points), strict=True)
    axes.step(sizes, scores, where="post", color=BLUE, linewidth=1.5)
    axes.scatter(sizes, scores, color=VERMILION, s=50, zorder=3, label="front")
    lowest = _lowest_shown(front)
    top = max(front.baseline_accuracy, *(trial.accuracy for trial in front.trials))
    room = 0.08 * (top - lowest)
    axes.set_ylim(lowest - room, top + room)
    axes.set_xscale("log")
    axes.set_xlabel("Size of the .tflite, gzipped (smaller is to the left)")
    axes.set_ylabel(front.metric.replace("_", " ").capitalize())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: bytes_text(size)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    open_frame(axes, "top", "right")
    hidden = sum(trial.accuracy < lowest for trial in front.trials)
    title = f"{len(points)} of {len(front.trials)} trials are on the front"
    if hidden:
        title += f"; {hidden} below the picture"
    axes.set_title(title, loc="left")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    write(figure, path)


def _lowest_shown(front: ParetoFront) -> float:
    """Trials that failed must not squeeze the others into a line."""
    scores = [point.accuracy for point in front.points]
    limit = front.baseline_accuracy - front.max_accuracy_drop
    top, bottom = max(*scores, front.baseline_accuracy), min(*scores, limit)
    lowest = top - _FAR_BELOW * (top - bottom) if top > bottom else top - 0.01
    return max(lowest, min(min(t.accuracy for t in front.trials), bottom))
