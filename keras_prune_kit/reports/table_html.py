"""Tables as HTML, for notebooks and pages: light or dark as what is around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from keras_prune_kit.reports.colors import BLUE

_MOST_OPEN = 4  # lines that are shown without a click

# Colours are those of the notebook or page around it, and a bar is told from both
# white and black. Nothing outside of `.kpk` is touched.
TABLE_STYLE = f"""
.kpk {{ color: inherit; }}
.kpk-scroll {{ overflow: auto; max-height: 32rem; margin: .5rem 0; }}
.kpk table {{ border-collapse: collapse; margin: 0; color: inherit;
  font-variant-numeric: tabular-nums; font-size: .8125rem; }}
.kpk caption {{ caption-side: top; text-align: left; font-weight: 600;
  padding: .2rem 0; color: inherit; }}
.kpk th, .kpk td {{ padding: .25rem .75rem .25rem 0; border: 0; text-align: right;
  vertical-align: top; white-space: nowrap; background: none; }}
.kpk th:first-child {{ text-align: left; }}
.kpk tbody th {{ font-weight: 400; }}
.kpk thead th {{ border-bottom: 2px solid currentColor; font-weight: 600; }}
.kpk tbody tr {{ border-bottom: 1px solid rgba(128, 128, 128, .4); background: none; }}
.kpk-bar {{ display: block; height: 4px; min-width: 4.5rem; margin-top: 2px;
  background: rgba(128, 128, 128, .25); }}
.kpk-bar > i {{ display: block; height: 100%; background: {BLUE}; }}
.kpk ul {{ margin: .3rem 0; padding-left: 1.2rem; font-size: .8125rem; }}
.kpk summary {{ cursor: pointer; font-size: .8125rem; }}
.kpk svg {{ display: block; max-width: 100%; height: auto; }}
"""


def fragment(content: str) -> str:
    """Return HTML for a notebook: the content with its style, without a script."""
    return f'<div class="kpk"><style>{TABLE_STYLE}</style>{content}</div>'


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    bars: Mapping[str, Sequence[float | None]],
) -> str:
    """Return a table that scrolls if it is large, its text escaped.

    Args:
        title: Caption.
        columns: Headings.
        rows: One sequence of cells per row; the first one names the row.
        bars: Lengths of bars, 0 to 1, by heading, one per row.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f"<tr>{_row(columns, row, {name: bars[name][i] for name in bars})}</tr>"
        for i, row in enumerate(rows)
    )
    caption = escape(title)
    # With `tabindex`, arrow keys scroll it.
    return (
        f'<div class="kpk-scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def lines(texts: Sequence[str]) -> str:
    """Return lines as a list, which opens with a click if it is long."""
    if not texts:
        return ""
    items = f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"
    if len(texts) <= _MOST_OPEN:
        return items
    return f"<details><summary>{len(texts)} notes</summary>{items}</details>"


def _row(
    columns: Sequence[str], row: Sequence[str], bars: Mapping[str, float | None]
) -> str:
    first, *others = row
    cells = (
        f"<td>{escape(cell)}{_bar(bars.get(column))}</td>"
        for column, cell in zip(columns[1:], others, strict=True)
    )
    return f'<th scope="row">{escape(first)}</th>{"".join(cells)}'


def _bar(length: float | None) -> str:
    if length is None:
        return ""
    # The number beside it says the same to those who do not see it.
    return (
        '<span class="kpk-bar" aria-hidden="true">'
        f'<i style="width: {100 * length:.4g}%"></i></span>'
    )
