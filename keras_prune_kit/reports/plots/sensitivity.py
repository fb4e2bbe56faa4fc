"""The picture of the rise of the loss as one weight at a time is pruned."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from keras_prune_kit.reports.colors import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write
from keras_prune_kit.reports.sensitivity import SensitivityReport, WeightSensitivity

_COLORS = (VERMILION, ORANGE, GREEN, BLUE, PURPLE, SKY)
_MARKERS = "osv^DP"
# The axis shows log(1 - sparsity), which has no place for a sparsity of 1.
_LEAST_LEFT = 0.003
_HALF_A_LINE, _A_LINE = 36, 80  # characters of a path


def plot_sensitivity(report: SensitivityReport, path: str | os.PathLike[str]) -> None:
    """Draw one line per weight; those that raise the loss most are named and colored.

    Args:
        report: Losses of each weight.
        path: Where to write the picture; the extension selects the format.
    """
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    axes = figure.subplots()
    ranked = sorted(report.weights, key=lambda weight: -np.mean(weight.losses))
    for weight in ranked[len(_COLORS) :]:
        _draw(axes, report, weight, color=GREY, linewidth=0.8)
    styles = zip(ranked, _COLORS, _MARKERS, strict=False)
    for weight, color, marker in styles:
        label = f"{_short(weight.path)}, {weight.size:,} values"
        _draw(axes, report, weight, color=color, marker=marker, label=label)
    others = len(ranked) - len(_COLORS)
    if others > 0:
        # One entry of the legend for all grey lines.
        axes.plot([], [], color=GREY, label=f"{others} others")
    _scale(axes, report)
    axes.set_title("Rise of the loss, one weight pruned at a time", loc="left")
    axes.set_xlabel("sparsity of that weight")
    ncols = 2 if max(len(weight.path) for weight in ranked) <= _HALF_A_LINE else 1
    figure.legend(loc="outside lower left", ncols=ncols, frameon=False, fontsize=9)
    axes.grid(axis="y", alpha=0.3)
    open_frame(axes, "top", "right")
    write(figure, path)


def _draw(
    axes: Axes, report: SensitivityReport, weight: WeightSensitivity, **style: Any
) -> None:
    rises = [loss - report.loss for loss in weight.losses]
    axes.plot(_left(weight.sparsities), rises, markersize=5, **style)


def _short(path: str) -> str:
    """Return the end of a long path, the part that differs between layers."""
    return path if len(path) <= _A_LINE else "…" + path[1 - _A_LINE :]


def _left(sparsities: tuple[float, ...]) -> list[float]:
    return [max(1 - sparsity, _LEAST_LEFT) for sparsity in sparsities]


def _scale(axes: Axes, report: SensitivityReport) -> None:
    """Set up a logarithmic axis of 1 - sparsity, which keeps 90 and 99 % apart."""
    levels = sorted({s for weight in report.weights for s in weight.sparsities})
    axes.set_xscale("log")
    # The axis has 1 - sparsity, and sparsity grows to the right.
    axes.invert_xaxis()
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(_left(tuple(levels))))
    axes.set_xticklabels([f"{100 * level:.4g} %" for level in levels])
