"""The HTML pages of a comparison and of a compression."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from keras_prune_kit.reports import Comparison, CompressionReport, Search
from keras_prune_kit.reports.comparison import whole_table
from keras_prune_kit.reports.pages import charts
from keras_prune_kit.reports.pages.layout import rendered


def comparison_page(comparison: Comparison) -> str:
    """Return the HTML page of a `Comparison`."""
    return _render("Comparison", comparison)


def compression_page(report: CompressionReport) -> str:
    """Return the HTML page of a `CompressionReport`."""
    title = f"Compression: {report.gain}"
    return _render(title, report.comparison, report.settings, report.search)


def _render(
    title: str,
    comparison: Comparison,
    settings: Mapping[str, Any] | None = None,
    search: Search | None = None,
) -> str:
    measured = comparison.measurements
    return rendered(
        "page.html.jinja",
        title=title,
        comparison=comparison,
        settings={
            key: _setting(value)
            for key, value in (settings or {}).items()
            if value is not None
        },
        table=Markup(whole_table(comparison).html()),
        search=Markup("".join(b.html() for b in search._blocks()) if search else ""),
        samples=_sample_rows(comparison),
        charts=[
            Markup(chart(comparison))
            for chart in (
                charts.size_bars,
                charts.score_bars,
                charts.tradeoff,
                *([charts.latency] if comparison.are_timed else []),
            )
        ],
        histogram=Markup(charts.weight_histogram(comparison)),
        weights=[
            (f"{m.name} {m.file}", m.sparsity, Markup(m.weights._blocks()[0].html()))
            for m in measured
        ],
    )


def _sample_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return each sample with its picture, its class and all predictions."""
    samples = comparison.samples
    if samples is None:
        return []
    return [
        {
            "label": label,
            "picture": (
                base64.b64encode(samples.pictures[index]).decode()
                if samples.pictures
                else ""
            ),
            "predictions": [
                (name, predictions[index])
                for name, predictions in samples.predictions.items()
            ],
        }
        for index, label in enumerate(samples.labels)
    ]


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
