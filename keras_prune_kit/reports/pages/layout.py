"""Template rendering and chart embedding, shared by all pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from keras_prune_kit.reports.tables import count_text, percent

_CHART_OPTIONS = {"displaylogo": False, "responsive": True}


def rendered(template: str, **values: Any) -> str:
    """Return a page: a template of this folder, rendered with its values.

    Args:
        template: File name of the template.
        **values: Values for the template. Text is escaped, `Markup` is not.
    """
    environment = Environment(
        loader=PackageLoader("keras_prune_kit.reports.pages", "."),
        # Names of models, files and classes are the user's.
        autoescape=True,
        # A misspelled value in a template is an error, not an empty text.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["count"] = count_text
    page = environment.get_template(template)
    # Embedded, as a page must work without a network.
    return page.render(**values, plotly_js=Markup(get_plotlyjs()))


def embedded(figures: Sequence[go.Figure], name: str) -> list[Markup]:
    """Return each chart as an HTML fragment, in whose script plotly escapes tags."""
    return [
        Markup(
            figure.to_html(
                full_html=False,
                # Once per page, not once per chart: it has several megabytes.
                include_plotlyjs=False,
                div_id=f"{name}-{number}",
                config=_CHART_OPTIONS,
            )
        )
        for number, figure in enumerate(figures)
    ]
