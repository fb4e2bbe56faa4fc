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
.kpk-chart {{ margin: 1rem 0; }}
.kpk-chart > figcaption {{ font-weight: 600; font-size: .9375rem; }}
.kpk-chart .kpk-scroll > svg {{ display: block; width: 100%; min-width: 36rem;
  max-width: 54rem; height: auto; }}
.kpk .kpk-legend {{ list-style: none; padding: 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1rem; }}
.kpk-row {{ display: grid; grid-template-columns: minmax(6rem, 14rem) 1fr 10rem;
  gap: .2rem .75rem; align-items: center; padding: .2rem 0; font-size: .8125rem;
  max-width: 54rem; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }}
.kpk-row > .kpk-bar {{ height: 1rem; margin: 0; min-width: 3rem; background: none; }}
@media (max-width: 36rem) {{ .kpk-row {{ grid-template-columns: 1fr auto; }}
  .kpk-row > .kpk-bar {{ grid-row: 2; grid-column: 1 / -1; }} }}
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
        f'<div class="kpk-scroll" tabindex="0" role="group" aria-label="{caption}">'
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


def bar_list(
    title: str,
    names: Sequence[str],
    lengths: Sequence[float],
    labels: Sequence[str],
    hovers: Sequence[str],
) -> str:
    """Return wide bars, one below the other, which keep their text size when narrow.

    Args:
        title: The line above.
        names: One per bar, to its left.
        lengths: Their lengths, 0 to 1.
        labels: Values in words, to their right.
        hovers: Texts that show when the pointer is over a bar.
    """
    rows = "".join(
        f'<div class="kpk-row" title="{escape(hover)}"><span>{escape(name)}</span>'
        f"{_bar(length)}<span>{escape(label)}</span></div>"
        for name, length, label, hover in zip(
            names, lengths, labels, hovers, strict=True
        )
    )
    caption = f"<figcaption>{escape(title)}</figcaption>"
    return f'<figure class="kpk-chart">{caption}{rows}</figure>'


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
