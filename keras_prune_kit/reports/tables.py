"""Tables and numbers as text for a terminal of 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE_WIDTH = 80

_GAP = 2  # between two columns, and at both edges together
_LEAST_WIDTH = 32  # if others are sentences, which break at spaces
_INDENT = "  "


def render_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> str:
    """Return rows as a plain-text table that fits a terminal of 80 columns.

    Args:
        title: Line above the table.
        columns: Headings. The first column is aligned left, the others right; names
            in it that are too long break at a slash.
        rows: One sequence of cells per row.

    Returns:
        The table without trailing spaces or color codes.
    """
    rows = [tuple(row) for row in rows]
    width = _first_width(columns, rows)
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
            # Paths of layers differ at the end, which an ellipsis would hide.
            overflow="fold",
        )
    for row in rows:
        # As `Text`: rich would read brackets in a plain string as markup.
        cells = fold_path(row[0], width), *row[1:]
        table.add_row(*(Text(cell) for cell in cells))
    out = io.StringIO()
    # A fixed width, so that a saved report equals the printed one.
    Console(file=out, width=TABLE_WIDTH, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def fold_path(path: str, width: int) -> str:
    """Return a path in lines that end at a slash, the later ones indented.

    Args:
        path: A path of a layer or weight.
        width: The longest line, in characters.

    Example:

    >>> print(fold_path("backbone/block_1/attention/query/kernel", 20))
    backbone/block_1/
      attention/query/
      kernel
    """
    if len(path) <= width or " " in path:  # Text breaks at its spaces.
        return path
    lines = [""]
    for part in re.findall(r"[^/]*/|[^/]+$", path):
        for piece in _pieces(part, width - len(_INDENT)):
            if lines[-1].strip() and len(lines[-1]) + len(piece) > width:
                lines.append(_INDENT)
            lines[-1] += piece
    return "\n".join(lines)


def _pieces(part: str, width: int) -> list[str]:
    """Return a part of a path as it is, or in pieces if it is longer than a line."""
    if len(part) <= width:
        return [part]
    words = re.findall(r"[^_]*_|[^_]+$", part)
    return [
        word[at : at + width] for word in words for at in range(0, len(word), width)
    ]


def _first_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how wide the first column may be, so that no other one is narrowed."""
    others = zip(*([columns, *rows]), strict=False)
    next(others, None)
    taken = sum(_GAP + max(map(len, column)) for column in others)
    return max(TABLE_WIDTH - _GAP - taken, _LEAST_WIDTH)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table, whose first column is aligned left."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(
        # A bar in a name would end its cell.
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in (columns, rule, *rows)
    )


def percent(fraction: float) -> str:
    """Return a fraction as a percentage, such as `"75.00 %"`."""
    return f"{100 * fraction:.2f} %"


def count_text(count: float) -> str:
    """Return a large number as text, such as `"4.3 M"`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f}"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text, such as `"3x3x16"`."""
    return "x".join(map(str, shape))


def bytes_text(count: float) -> str:
    """Return a size in bytes as text, such as `"1.5 kB"`."""
    if count >= 1e6:
        return f"{count / 1e6:.2f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count:.0f} B"
