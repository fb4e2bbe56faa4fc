"""Template rendering, shared by all pages."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keras_prune_kit.reports.table_html import TABLE_STYLE


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
    page = environment.get_template(template)
    return page.render(**values, table_style=Markup(TABLE_STYLE))
