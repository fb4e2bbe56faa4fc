"""Nests of dicts, lists and tuples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def leaves(item: Any) -> Iterator[Any]:
    """Yield what a nest of dicts, lists and tuples holds, in its order."""
    if isinstance(item, dict):
        item = list(item.values())
    if isinstance(item, list | tuple):
        for inner in item:
            yield from leaves(inner)
    else:
        yield item
