"""Access to the pictures and pages of records, which are imported on first use.

A record passes the name of the function that draws it, because plots and pages import
the records, and because matplotlib is slow to import.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from keras_prune_kit._tools.files import replacing


def draw(function: str, subject: Any, path: str | os.PathLike[str]) -> None:
    """Draw a picture and write it whole or not at all.

    Args:
        function: The name of a function of `reports.plots`.
        subject: The function's argument: a record or a part of one.
        path: Where to write the picture; the extension selects the format.

    Raises:
        OSError: If the path cannot be written.
        ValueError: If the extension is not that of a supported picture format.
    """
    plot = getattr(importlib.import_module("keras_prune_kit.reports.plots"), function)
    with replacing(path) as part:
        plot(subject, part)


def chart(function: str, record: Any) -> str:
    """Return a chart as an HTML fragment, for a notebook.

    Args:
        function: The name of a function of `reports.pages.charts`.
        record: The function's argument.
    """
    charts = importlib.import_module("keras_prune_kit.reports.pages.charts")
    return getattr(charts, function)(record)


def write_page(function: str, record: Any, path: str | os.PathLike[str]) -> None:
    """Write an HTML page whole or not at all.

    Args:
        function: The name of a function of `reports.pages`.
        record: The function's argument.
        path: Where to write the page.

    Raises:
        OSError: If the path cannot be written.
    """
    page = getattr(importlib.import_module("keras_prune_kit.reports.pages"), function)
    with replacing(path) as part:
        part.write_text(page(record), encoding="utf-8")
