"""Records that print as tables, in a terminal and in a notebook."""

from __future__ import annotations

import abc
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_prune_kit.reports import table_html
from keras_prune_kit.reports.tables import TABLE_WIDTH, render_table


@dataclass(frozen=True)
class Table:
    """Rows of text under headings, for every way of showing them.

    Attributes:
        title: Line above the table.
        columns: Headings.
        rows: One sequence of cells per row; the first cell names the row.
        bars: Lengths of bars, 0 to 1, by heading: one per row, `None` for no bar. Only
            HTML shows them.
        below: Lines right below the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    below: Sequence[str] = ()

    def text(self) -> str:
        """Return the table for a terminal."""
        table = render_table(self.title, self.columns, self.rows)
        return "\n".join([table, *self.below])

    def html(self) -> str:
        """Return the table as an HTML fragment, without a style."""
        table = table_html.table(self.title, self.columns, self.rows, self.bars)
        return table + table_html.lines(self.below)


@dataclass(frozen=True)
class Notes:
    """Sentences between tables, one a line.

    Attributes:
        lines: The sentences.
    """

    lines: Sequence[str]

    def text(self) -> str:
        """Return the sentences for a terminal, none wider than a table."""
        return "\n".join(textwrap.fill(line, TABLE_WIDTH) for line in self.lines)

    def html(self) -> str:
        """Return the sentences as an HTML fragment."""
        return table_html.lines(self.lines)


class Printed(abc.ABC):
    """A record that prints as tables; in a notebook they have bars and a picture."""

    @abc.abstractmethod
    def _blocks(self) -> Sequence[Table | Notes]:
        """Return the tables and notes, from top to bottom."""

    def _picture(self) -> str:
        """Return a picture as an SVG fragment; by default there is none."""
        return ""

    def __str__(self) -> str:
        return "\n\n".join(block.text() for block in self._blocks())

    def _repr_html_(self) -> str:
        blocks = "".join(block.html() for block in self._blocks())
        return table_html.fragment(blocks + self._picture())


def shares(values: Sequence[float]) -> list[float]:
    """Return values as parts of the largest one, for bars.

    One below zero, NaN or infinite has a bar of length 0.
    """
    known = [value if math.isfinite(value) else 0.0 for value in values]
    most = max(known, default=0)
    return [max(value, 0) / most if most > 0 else 0.0 for value in known]
