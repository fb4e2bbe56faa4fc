"""Suggestions for mistyped names."""

from __future__ import annotations

import os
from collections.abc import Iterable

import lazy_loader

# Only mistakes need it, and every import of the package would wait for it.
difflib = lazy_loader.load("difflib")

# Of difflib's ratio; lower ones suggest words that only share some letters.
_ALIKE = 0.7


def did_you_mean(word: object, choices: Iterable[object], written: str = "'{}'") -> str:
    """Return the closest choice as the end of a message, or nothing if none is close.

    Args:
        word: The value received; only a string can be mistyped.
        choices: The values that are known; others than strings are left out.
        written: How the choice is written, such as `"kpk.{}"`. Defaults to quotes.

    Returns:
        A sentence that begins with a space, or an empty string.

    Example:

    >>> did_you_mean("int-8", ["none", "int8", "int4"])
    " Did you mean 'int8'?"
    """
    if not isinstance(word, str):
        return ""
    # Upper case counts as a typo of lower case, whatever the letters.
    known = {text.lower(): text for text in choices if isinstance(text, str)}
    found = difflib.get_close_matches(word.lower(), known, 1, _ALIKE)
    return f" Did you mean {written.format(known[found[0]])}?" if found else ""


def did_you_mean_file(path: str) -> str:
    """Return a suggestion of a file beside one that does not exist."""
    folder, name = os.path.split(path)
    folder = folder or "."
    return did_you_mean(name, os.listdir(folder) if os.path.isdir(folder) else ())


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names as text, of which a long list is cut.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
