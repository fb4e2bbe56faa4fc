"""Objects whose `repr` is the call that creates them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

_PLAIN = (str, int, float, bool, type(None))


class Typed:
    """Base class of objects that read as what one would type.

    Each parameter of the constructor is read from the attribute of the same name; `...`
    stands for one that has none. Those that have their default are left out; what
    cannot be written down, such as data, is its class in angle brackets.

    Example:

    >>> class Point(Typed):
    ...     def __init__(self, x, y=0, *, unit="mm"):
    ...         self.x, self.y, self.unit = x, y, unit
    >>> Point(1), Point(1, 2), Point(1, unit="cm")
    (Point(1), Point(1, 2), Point(1, unit='cm'))
    """

    def _typed(self, name: str) -> Any:
        """Return the argument that one would type for a parameter."""
        # A subclass may keep its arguments elsewhere, and `repr` must not fail.
        return getattr(self, name, ...)

    def _arguments(self) -> Iterator[str]:
        is_by_position = True
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = self._typed(name)
            if _is_same(value, parameter.default):
                # A later one cannot go without its name any more.
                is_by_position = False
                continue
            is_by_position &= parameter.kind is not parameter.KEYWORD_ONLY
            yield written(value) if is_by_position else f"{name}={written(value)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"


def written(value: Any) -> str:
    """Return a value as one would type it, or its class in angle brackets.

    Example:

    >>> written((0.5, len)), written({1, 2})
    ('(0.5, len)', '<set>')
    """
    if value is ...:
        return "..."
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple) and type(value) is tuple:
        parts = ", ".join(map(written, value))
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if inspect.isfunction(value) or inspect.isbuiltin(value) or isinstance(value, type):
        return value.__name__
    # Those of arrays, datasets and models have no end.
    own = type(value).__module__.partition(".")[0] == __name__.partition(".")[0]
    return repr(value) if own else f"<{type(value).__name__}>"


def _is_same(value: Any, default: Any) -> bool:
    # Equal things of one type: the answer of an array is another array.
    is_hashable = isinstance(default, (*_PLAIN, tuple)) or isinstance(default, Typed)
    return value is default or (
        (is_hashable or getattr(default, "__dataclass_params__", None) is not None)
        and type(value) is type(default)
        and value == default
    )
