"""The HTML page of a search."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from keras_prune_kit.reports.colors import BLUE, GREY, VERMILION
from keras_prune_kit.reports.front import ParetoFront, SearchTrial
from keras_prune_kit.reports.pages.charts import LEGEND_BELOW, size_axis, styled
from keras_prune_kit.reports.pages.layout import embedded, rendered


def front_page(front: ParetoFront) -> str:
    """Return the HTML page of a `ParetoFront`."""
    return rendered(
        "front.html.jinja",
        title=f"Search: {len(front.trials)} trials",
        front=front,
        names=sorted({name for t in front.trials for name in t.hyperparameters}),
        chart=embedded([_chart(front)], "front")[0],
    )


def _chart(front: ParetoFront) -> go.Figure:
    points = front.points
    figure = go.Figure()
    figure.add_scatter(
        x=[point.gzip_bytes for point in points],
        y=[point.accuracy for point in points],
        mode="lines",
        # Steps: between two trials, only the smaller one fits into a size.
        line={"shape": "hv", "color": BLUE},
        showlegend=False,
        hoverinfo="skip",
    )
    others = [trial for trial in front.trials if trial not in points]
    for name, trials, color, size in (
        ("other trials", others, GREY, 9),
        ("front", points, VERMILION, 13),
    ):
        figure.add_scatter(
            x=[trial.gzip_bytes for trial in trials],
            y=[trial.accuracy for trial in trials],
            name=name,
            mode="markers",
            marker={"size": size, "color": color},
            # Not in the template itself, where names could have plotly's placeholders.
            customdata=[[_described(front, trial)] for trial in trials],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    figure.add_hline(front.baseline_accuracy, line_dash="dash", line_color=GREY)
    figure.add_hline(front.allowance.limit, line_dash="dot", line_color=GREY)
    size_axis(figure, [trial.gzip_bytes for trial in front.trials])
    figure.update_yaxes(title=html.escape(front.axis_title))
    figure.update_layout(height=520, legend=LEGEND_BELOW)
    return styled(figure, f"{len(points)} of {len(front.trials)} are on the front")


def _described(front: ParetoFront, trial: SearchTrial) -> str:
    """Return the hover text of a trial: its figures and hyperparameters."""
    lines = [
        f"trial {trial.name}",
        f"{front.metric}: {trial.accuracy:.4f}",
        f"gzipped: {trial.gzip_bytes:,} B ({front.size_ratio(trial):.1f}x)",
        *(f"{name}: {text}" for name, text in trial.settings.items()),
    ]
    return "<br>".join(map(html.escape, lines))
