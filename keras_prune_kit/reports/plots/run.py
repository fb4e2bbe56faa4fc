"""The picture of a training run, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_prune_kit._tools.files import replacing
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.reports.colors import BLUE, ORANGE, VERMILION
from keras_prune_kit.reports.plots.style import WIDTH, open_frame, write

# Entries of `History` that do not measure the quality of the model.
_NO_METRICS = {"sparsity", "gzip_bytes", "learning_rate", "lr"}


def plot_sparsity(
    history: Any, path: str | os.PathLike[str], *, metric: str | None = None
) -> None:
    """Draw sparsity over the epochs of a run, with a metric below.

    It shows at which sparsity pruning degraded the metric, and whether fine-tuning
    recovered it.

    Args:
        history: Return value of a `fit` with a `PruningCallback`, or its `.history`.
        path: Where to write the picture; the extension selects the format.
        metric: Entry of the history to draw, with its `val_` counterpart if there is
            one. Defaults to `None`: the first metric, or the loss if there is none.

    Raises:
        ValueError: If the history has no sparsity or no such metric.
        OSError: If the path cannot be written.

    Example:

    ```python
    history = model.fit(x, y, epochs=5, callbacks=[pruning])
    kpk.plot_sparsity(history, "sparsity.png")
    ```
    """
    logs: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    is_history = isinstance(logs, Mapping)
    if not is_history or not logs.get("sparsity"):
        found = f" of {sorted(logs)}" if is_history else ""
        raise ValueError(
            "history must be a History with sparsity, from a fit with a "
            f"PruningCallback. Received: {history!r}{found}."
        )
    curves = _curves_of(logs, metric)
    # A resumed run does not begin with the first epoch.
    first = getattr(history, "epoch", None) or [0]
    epochs = range(first[0] + 1, first[0] + 1 + len(logs["sparsity"]))
    figure = Figure(figsize=(WIDTH, 5 if curves else 3), layout="constrained")
    panels = figure.subplots(1 + bool(curves), 1, sharex=True, squeeze=False)[:, 0]
    _lines(panels[0], epochs, {"sparsity": logs["sparsity"]}, [ORANGE])
    end = logs["sparsity"][-1]
    panels[0].annotate(
        f"{end:.1%}",
        (epochs[-1], end),
        # Below the last point, unless the axis is right there.
        xytext=(0, -14 if end > 0.2 else 8),
        textcoords="offset points",
        ha="center",
    )
    panels[0].set_ylim(0, 1.05)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0].set_title("Sparsity of the pruned weights", loc="left")
    if curves:
        _lines(panels[1], epochs, curves, [BLUE, VERMILION])
        panels[1].set_title(next(iter(curves)).capitalize(), loc="left")
    panels[-1].set_xlabel("Epoch")
    # There are no half epochs, and a run may have only one.
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    # Called by users directly, not through `draw`.
    with replacing(path) as part:
        write(figure, part)


def _curves_of(
    logs: Mapping[str, Sequence[float]], metric: str | None
) -> dict[str, Sequence[float]]:
    """Return a metric and its `val_` counterpart, where they cover all epochs."""
    if metric is None:
        known = [n for n in logs if n not in _NO_METRICS and not n.startswith("val_")]
        # False is the minimum: the first metric that is not a loss, or else a loss.
        metric = min(known, key=lambda n: n.split("_")[-1] == "loss", default=None)
    elif not isinstance(metric, str) or metric not in logs:
        raise ValueError(
            f"metric is one of {sorted(logs)}, as in the history. "
            f"Received: metric={metric!r}." + did_you_mean(metric, logs)
        )
    epochs = len(logs["sparsity"])
    # With fit(validation_freq=2) Keras does not record which epochs were validated.
    names = [metric, f"val_{metric}"]
    return {name: logs[name] for name in names if len(logs.get(name, ())) == epochs}


def _lines(
    axes: Axes,
    epochs: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    colors: Sequence[str],
) -> None:
    """Draw lines with a marker per epoch, and a legend above the axes."""
    styles = zip(colors, ("-o", "--s"), strict=False)
    for (name, values), (color, style) in zip(curves.items(), styles, strict=False):
        axes.plot(epochs, values, style, color=color, markersize=4, label=name)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
        frameon=False,
        borderpad=0,
        borderaxespad=0.2,
    )
    axes.grid(axis="y", alpha=0.3)
    open_frame(axes, "top", "right")
