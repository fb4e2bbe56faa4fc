"""Tables of plain text for a terminal of 80 columns."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE_WIDTH = 80


def render_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> str:
    """Lays rows out as a plain-text table that fits a terminal of 80 columns.

    Args:
        title: A line above the table.
        columns: The headings. The first column is aligned left, the others right.
        rows: One sequence of cells a row.

    Returns:
        The table as text, without trailing spaces or colour codes.
    """
    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        is_label = index == 0
        table.add_column(
            Text(column),
            justify="left" if is_label else "right",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out = io.StringIO()
    Console(file=out, width=TABLE_WIDTH, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays rows out as a Markdown table; the first column is aligned left."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in (columns, rule, *rows)
    )


def percent(fraction: float) -> str:
    """A fraction of 0 to 1 as a person reads it."""
    return f"{100 * fraction:.2f} %"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as a person reads it."""
    return "x".join(map(str, shape))


def bytes_text(count: float) -> str:
    """A size as a person reads it."""
    if count >= 1e6:
        return f"{count / 1e6:.2f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count:.0f} B"
