"""Charts of the records, for pages and notebooks, with values on hover."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from keras_prune_kit.reports import (
    Comparison,
    Measurement,
    ParetoFront,
    SearchTrial,
    SensitivityReport,
)
from keras_prune_kit.reports.colors import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from keras_prune_kit.reports.front import visible_scores
from keras_prune_kit.reports.pages import svg
from keras_prune_kit.reports.printed import shares
from keras_prune_kit.reports.table_html import bar_list

_SEVERAL = (svg.INK, VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY)
_SIZE = "Size, gzipped (smaller is to the left)"


def size_bars(comparison: Comparison) -> str:
    """Return a chart of the gzipped size of each model."""
    measured = comparison.measurements
    labels = [f"{m.gzip_bytes:,} B ({comparison.size_ratio(m):.1f}x)" for m in measured]
    hovers = [
        f"file: {m.file_bytes:,} B\nsparse, gzipped: {m.sparse_gzip_bytes:,} B"
        for m in measured
    ]
    lengths = shares([m.gzip_bytes for m in measured])
    return bar_list("Size, gzipped", _names(measured), lengths, labels, hovers)


def score_bars(comparison: Comparison) -> str:
    """Return a chart of the score of each model; one below zero has no bar."""
    measured = comparison.measurements
    scores = [m.score for m in measured]
    labels = [f"{score:.4f}" for score in scores]
    title = _title(comparison.metric)
    return bar_list(title, _names(measured), shares(scores), labels, labels)


def tradeoff(comparison: Comparison) -> str:
    """Return a chart of the score of each model against its gzipped size."""
    measured = comparison.measurements
    sizes = [m.gzip_bytes for m in measured]
    hovers = [f"{m.gzip_bytes:,} B ({comparison.size_ratio(m):.1f}x)" for m in measured]
    title = f"{_title(comparison.metric)} against size"
    return _scores_against(title, svg.sizes(_SIZE, sizes), measured, sizes, hovers)


def latency(comparison: Comparison) -> str:
    """Return a chart of the score of each file against its latency."""
    timed = [m for m in comparison.measurements if m.latency_ms is not None]
    times = [m.latency_ms or 0.0 for m in timed]
    axis = svg.linear(
        "Latency of one sample, in milliseconds (faster is to the left)",
        times,
        zero=True,
    )
    title = f"{_title(comparison.metric)} against latency"
    hovers = [f"{time:.3f} ms" for time in times]
    return _scores_against(title, axis, timed, times, hovers)


def _scores_against(
    title: str,
    axis: svg.Axis,
    measured: Sequence[Measurement],
    xs: Sequence[float],
    hovers: Sequence[str],
) -> str:
    """Return a chart with a marker for each model, and a line at the first score."""
    scores = svg.linear(_title(measured[0].metric), [m.score for m in measured])
    chart = svg.Chart(title, axis, scores)
    chart.level(measured[0].score)
    points = zip(itertools.cycle(_SEVERAL), measured, xs, hovers, strict=False)
    for color, m, x, hover in points:
        text = f"{_label(m)}\n{hover}\n{m.metric}: {m.score:.4f}"
        chart.marker(x, m.score, color, text, size=8)
        chart.name(color, _label(m))
    return chart.html()


def weight_histogram(comparison: Comparison) -> str:
    """Return a histogram of the nonzero weights of the first and the last model."""
    first, *_, last = (comparison.measurements[0], *comparison.measurements)
    shown = [(svg.INK, first), (VERMILION, last)]
    edges = [edge for _, m in shown for edge in m.histogram.edges]
    counts = [count for _, m in shown for count in m.histogram.counts]
    chart = svg.Chart(
        "Weights that are not zero, before and after",
        svg.linear("Value", edges or [0.0]),
        svg.counts("Weights in a bin", counts),
    )
    for color, m in shown:
        # One value for each edge: a step goes from one edge to the next.
        chart.steps(m.histogram.edges, [*m.histogram.counts, 0], color)
        chart.name(color, _label(m))
    return chart.html()


def front(found: ParetoFront) -> str:
    """Return a chart of all trials of a search, with a line along the front."""
    points, trials = found.points, found.trials
    low, high = visible_scores(found)
    chart = svg.Chart(
        f"{len(points)} of {len(trials)} trials are on the front",
        svg.sizes(_SIZE, [trial.gzip_bytes for trial in trials]),
        svg.linear(found.axis_title, [low, high]),
    )
    chart.level(found.baseline_accuracy)
    chart.level(found.allowance.limit, dash="2 4")
    if points:
        # Steps: between two trials, only the smaller one fits into a size.
        sizes, scores = [p.gzip_bytes for p in points], [p.accuracy for p in points]
        chart.steps(sizes, scores, BLUE)
    for trial in trials:
        if trial not in points and low <= trial.accuracy <= high:
            text = _described(found, trial)
            chart.marker(trial.gzip_bytes, trial.accuracy, GREY, text, size=4)
    for point in points:
        text = _described(found, point)
        chart.marker(point.gzip_bytes, point.accuracy, VERMILION, text)
    chart.name(VERMILION, "front")
    chart.name(GREY, "other trials")
    hidden = sum(not low <= trial.accuracy <= high for trial in trials)
    if hidden:
        side = "below" if found.mode == "max" else "above"
        chart.name("none", f"{hidden} far {side} the picture")
    return chart.html()


def sensitivity(report: SensitivityReport) -> str:
    """Return a chart of the rise of the loss against the sparsity of each weight."""
    rises = [loss - report.loss for w in report.weights for loss in w.losses]
    levels = [level for w in report.weights for level in w.sparsities]
    chart = svg.Chart(
        "Rise of the loss, one weight pruned at a time",
        svg.linear("Sparsity", levels),
        svg.linear("Rise of the loss", [0.0, *rises]),
    )
    # Lines of dozens of weights cannot be told by colour: hovering names each.
    for color, w in zip(itertools.cycle(_SEVERAL), report.weights, strict=False):
        chart.line(w.sparsities, [loss - report.loss for loss in w.losses], color)
        for level, loss in zip(w.sparsities, w.losses, strict=True):
            text = f"{w.path}\n{level:.4g} pruned: {loss - report.loss:+.4f}"
            chart.marker(level, loss - report.loss, color, text, size=4)
        if len(report.weights) <= len(_SEVERAL):
            chart.name(color, w.path)
    return chart.html()


def _described(found: ParetoFront, trial: SearchTrial) -> str:
    """Return the hover text of a trial: its figures and hyperparameters."""
    lines = [
        f"trial {trial.name}",
        f"{found.metric}: {trial.accuracy:.4f}",
        f"gzipped: {trial.gzip_bytes:,} B ({found.size_ratio(trial):.1f}x)",
        *(f"{name}: {text}" for name, text in trial.settings.items()),
    ]
    return "\n".join(lines)


def _names(measured: Sequence[Measurement]) -> list[str]:
    return [_label(measurement) for measurement in measured]


def _label(measurement: Measurement) -> str:
    return f"{measurement.name} {measurement.file}"


def _title(metric: str) -> str:
    return metric.replace("_", " ").capitalize()
