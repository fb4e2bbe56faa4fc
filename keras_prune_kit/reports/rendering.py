"""Pictures and pages of the records, loaded when the first one is asked for.

A record names the function that draws it. Pictures and pages import the records, never
the other way round, and matplotlib and plotly take longer to import than all of them.
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
        subject: The record, or the part of it, that the function takes.
        path: Where to write the picture; the ending chooses the format.

    Raises:
        OSError: If the path cannot be written.
        ValueError: If the ending names no format of pictures.
    """
    plot = getattr(importlib.import_module("keras_prune_kit.reports.plots"), function)
    with replacing(path) as part:
        plot(subject, part)


def write_page(function: str, record: Any, path: str | os.PathLike[str]) -> None:
    """Write an HTML page whole or not at all.

    Args:
        function: The name of a function of `reports.pages`.
        record: The record that the function takes.
        path: Where to write the page.

    Raises:
        OSError: If the path cannot be written.
    """
    page = getattr(importlib.import_module("keras_prune_kit.reports.pages"), function)
    with replacing(path) as part:
        part.write_text(page(record), encoding="utf-8")
