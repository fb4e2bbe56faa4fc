"""Interactive charts of a page: the pictures of `plots`, with values on hover."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence

import plotly.graph_objects as go

from keras_prune_kit.reports import Comparison, Measurement
from keras_prune_kit.reports.colors import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from keras_prune_kit.reports.tables import bytes_text, shape_text

_SEVERAL = (BLACK, VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY)

LEGEND_BELOW = {"orientation": "h", "y": -0.2}
_ROOM_FOR_LABELS = 1.3  # Labels stand right of the bars.
_FRAME = 110  # pixels around the bars
_LONGEST_NAME = 44


def size_bars(comparison: Comparison) -> go.Figure:
    """Return a chart of the gzipped size of each model."""
    measured = comparison.measurements
    sizes = [m.gzip_bytes for m in measured]
    bars = go.Bar(
        x=sizes,
        y=_names(measured),
        orientation="h",
        marker_color=ORANGE,
        text=[
            f"{m.gzip_bytes:,} B ({comparison.size_ratio(m):.1f}x)" for m in measured
        ],
        textposition="outside",
        # Labels beyond the axis would be cut off.
        cliponaxis=False,
        customdata=[[m.file_bytes, m.sparse_gzip_bytes] for m in measured],
        hovertemplate="%{y}<br>gzipped: %{x:,} B<br>file: %{customdata[0]:,} B"
        "<br>sparse, gzipped: %{customdata[1]:,} B<extra></extra>",
    )
    return _bar_figure(bars, "Size, gzipped", max(sizes))


def score_bars(comparison: Comparison) -> go.Figure:
    """Return a chart of the score of each model."""
    measured = comparison.measurements
    scores = [m.score for m in measured]
    bars = go.Bar(
        x=scores,
        y=_names(measured),
        orientation="h",
        marker_color=BLUE,
        text=[f"{score:.4f}" for score in scores],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    return _bar_figure(bars, _title(comparison.metric), max(scores), least=min(scores))


def tradeoff(comparison: Comparison) -> go.Figure:
    """Return a chart of the score of each model against its gzipped size."""
    measured = comparison.measurements
    sizes = [m.gzip_bytes for m in measured]
    hovers = [
        f"gzipped: %{{x:,}} B ({comparison.size_ratio(m):.1f}x)" for m in measured
    ]
    figure = _scores_against(measured, sizes, hovers)
    size_axis(figure, sizes)
    return styled(figure, f"{_title(comparison.metric)} against size")


def latency(comparison: Comparison) -> go.Figure:
    """Return a chart of the score of each file against its latency."""
    timed = [m for m in comparison.measurements if m.latency_ms is not None]
    times = [m.latency_ms or 0.0 for m in timed]
    figure = _scores_against(timed, times, ["%{x:.3f} ms"] * len(timed))
    figure.update_xaxes(
        title="Latency of one sample, in milliseconds (faster is to the left)",
        rangemode="tozero",
    )
    return styled(figure, f"{_title(comparison.metric)} against latency")


def _scores_against(
    measured: Sequence[Measurement], xs: Sequence[float], hovers: Sequence[str]
) -> go.Figure:
    """Return a chart with a marker for each model, and a line at the first score."""
    figure = go.Figure()
    points = zip(itertools.cycle(_SEVERAL), measured, xs, hovers, strict=False)
    for color, m, x, hover in points:
        figure.add_scatter(
            x=[x],
            y=[m.score],
            name=_label(m),
            mode="markers",
            cliponaxis=False,
            marker={"size": 13, "color": color},
            hovertemplate=f"{hover}<br>score: %{{y:.4f}}",
        )
    figure.add_hline(measured[0].score, line_dash="dash", line_color=GREY)
    figure.update_yaxes(title=_title(measured[0].metric))
    figure.update_layout(height=440, legend=LEGEND_BELOW)
    return figure


def size_axis(figure: go.Figure, sizes: Sequence[int]) -> None:
    """Set up the horizontal axis for gzipped sizes, on a logarithmic scale."""
    # plotly labels those between powers of ten with a bare digit.
    ticks = [d * 10**power for power in range(1, 11) for d in (1, 2, 5)]
    figure.update_xaxes(
        title="Size, gzipped (smaller is to the left)",
        type="log",
        # The range of plotly's logarithmic axis is in powers of ten.
        range=[math.log10(min(sizes) / 2), math.log10(max(sizes) * 1.5)],
        tickvals=ticks,
        ticktext=list(map(bytes_text, ticks)),
    )


def sparsity_bars(measurement: Measurement) -> go.Figure:
    """Return a chart of the sparsity of each weight of one model."""
    weights = measurement.weights.weights
    bars = go.Bar(
        x=[weight.sparsity for weight in weights],
        # plotly merges bars of the same name: the number keeps them apart.
        y=[f"{_text(_short(w.path))} <i>{i}</i>" for i, w in enumerate(weights, 1)],
        orientation="h",
        marker_color=ORANGE,
        text=[f"{weight.sparsity:.1%}" for weight in weights],
        textposition="outside",
        cliponaxis=False,
        customdata=[
            [_text(w.path), shape_text(w.shape), w.zeros, w.size] for w in weights
        ],
        hovertemplate="%{customdata[0]}<br>shape: %{customdata[1]}"
        "<br>zeros: %{customdata[2]:,} of %{customdata[3]:,}<extra></extra>",
    )
    name = f"{_label(measurement)}: {measurement.sparsity:.1%} of all weights are zero"
    figure = _bar_figure(bars, name, 1, each=22)
    return figure.update_xaxes(
        tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%", showticklabels=True
    )


def weight_histogram(comparison: Comparison) -> go.Figure:
    """Return a histogram of nonzero weights, which shows the first and last model."""
    measured = comparison.measurements
    figure = go.Figure()
    for index, (color, measurement) in enumerate(
        zip(itertools.cycle(_SEVERAL), measured, strict=False)
    ):
        edges, counts = measurement.histogram.edges, measurement.histogram.counts
        figure.add_scatter(
            x=edges,
            # One value for each edge: "hv" draws a step from one edge to the next.
            y=[*counts, 0],
            name=_label(measurement),
            line={"shape": "hv", "color": color},
            # A click in the legend shows the others.
            visible=True if index in (0, len(measured) - 1) else "legendonly",
            hovertemplate="from %{x:.4f}: %{y:,} weights",
        )
    figure.update_xaxes(title="Value")
    # On a logarithmic axis, `dtick=1` is a factor of ten.
    figure.update_yaxes(title="Weights in a bin", type="log", dtick=1)
    figure.update_layout(height=440, legend=LEGEND_BELOW)
    return styled(figure, "Weights that are not zero, before and after")


def _bar_figure(
    bars: go.Bar, title: str, longest: float, each: int = 44, least: float = 0.0
) -> go.Figure:
    count = len(bars.to_plotly_json()["y"])
    figure = go.Figure(bars)
    figure.update_layout(height=_FRAME + each * count, bargap=0.35)
    # Scores such as R2 may be negative, and all may be zero.
    ends = [min(least, 0) * _ROOM_FOR_LABELS, max(longest, 0) * _ROOM_FOR_LABELS or 1]
    figure.update_xaxes(range=ends, showticklabels=False)
    # plotly draws the first bar at the bottom.
    figure.update_yaxes(autorange="reversed", automargin=True)
    return styled(figure, title)


def styled(figure: go.Figure, title: str) -> go.Figure:
    """Apply the common style to a chart and return it."""
    return figure.update_layout(
        title={
            "text": title,
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "pad_l": 8,
        },
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "size": 14, "color": BLACK},
        margin={"l": 10, "r": 20, "t": 60, "b": 40},
    )


def _names(measured: Sequence[Measurement]) -> list[str]:
    return [_label(measurement) for measurement in measured]


def _label(measurement: Measurement) -> str:
    return _text(f"{measurement.name} {measurement.file}")


def _title(metric: str) -> str:
    return _text(metric.replace("_", " ").capitalize())


def _short(path: str) -> str:
    """Return the end of a long path, the part that differs between layers."""
    return path if len(path) <= _LONGEST_NAME else "…" + path[1 - _LONGEST_NAME :]


def _text(text: str) -> str:
    """Return text escaped for plotly, which interprets some HTML tags."""
    return html.escape(text)
