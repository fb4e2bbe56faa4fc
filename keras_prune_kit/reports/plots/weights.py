"""The picture of the sparsity of each weight."""

from __future__ import annotations

import os

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from keras_prune_kit.reports.colors import BLUE, ORANGE
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.sparsity import SparsityReport

_LONGEST_NAME = 48


def plot_weights(report: SparsityReport, path: str | os.PathLike[str]) -> None:
    """Draw the sparsity of each weight as a bar, and its target as a line.

    Args:
        report: Zeros of each weight.
        path: Where to write the picture; the extension selects the format.

    Raises:
        ValueError: If the report has no weights.
    """
    weights = report.weights
    if not weights:
        raise ValueError("A report with at least one weight is needed. Received none.")
    figure = Figure(figsize=(WIDTH, 1.1 + 0.32 * len(weights)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(weights))
    sparsities = [weight.sparsity for weight in weights]
    bars = axes.barh(rows, sparsities, color=ORANGE, height=0.7)
    labels = [f"{w.sparsity:.1%} of {w.size:,}" for w in weights]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    targets = [(row, w.target) for row, w in enumerate(weights) if w.target is not None]
    if targets:
        at, values = zip(*targets, strict=True)
        axes.vlines(
            values,
            [row - 0.42 for row in at],
            [row + 0.42 for row in at],
            color=BLUE,
            linewidth=2,
            label="target",
        )
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    axes.set_yticks(rows, [_short(weight.path) for weight in weights], fontsize=9)
    # Upside down: matplotlib draws the first bar at the bottom.
    axes.set_ylim(len(weights) - 0.4, -0.6)
    axes.set_xlim(0, 1.3)  # Labels stand right of the bars.
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title(f"Sparsity: {report.sparsity:.1%} of {report.size:,}", loc="left")
    open_frame(axes, "top", "right")
    write(figure, path)


def _short(path: str) -> str:
    """Return the end of a long path, the part that differs between layers."""
    return path if len(path) <= _LONGEST_NAME else "…" + path[1 - _LONGEST_NAME :]
