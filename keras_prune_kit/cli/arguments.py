"""Parsers and checks of single words of the command line."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence

from keras_prune_kit._tools.spelling import did_you_mean, did_you_mean_file


def sparsity(text: str) -> float:
    """Parse a fraction of at least 0 and below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise ArgumentTypeError(
            f"a fraction of at least 0 and below 1, such as 0.8, is needed, not {text}"
        )
    return value


def part(text: str) -> float:
    """Parse a fraction above 0 and below 1."""
    value = _number(text)
    if not 0 < value < 1:
        raise ArgumentTypeError(
            f"a fraction above 0 and below 1, such as 0.5, is needed, not {text}"
        )
    return value


def speedup(text: str) -> float:
    """Parse a number above 1."""
    value = _number(text)
    if not 1 < value < float("inf"):
        raise ArgumentTypeError(f"a number above 1, such as 2, is needed, not {text}")
    return value


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    # `int` alone would accept "1_000" and " 5".
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise ArgumentTypeError(f"a whole number of at least 1 is needed, not {text}")
    return int(text)


def count_or_none(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise ArgumentTypeError(f"a whole number of at least 0 is needed, not {text}")
    return int(text)


def some_of(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of words separated by commas, each one of the choices."""

    def check(text: str) -> tuple[str, ...]:
        # Unique, but in the order given: a search takes it from large to small files.
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
        for word in words:
            if word not in choices:
                raise ArgumentTypeError(
                    f"a comma-separated list of {', '.join(choices)} is needed, "
                    f"not {word!r}.{did_you_mean(word, choices)}"
                )
        return words

    return check


def scale(text: str) -> tuple[float, float]:
    """Parse `FACTOR[,OFFSET]`."""
    factor, _, offset = text.partition(",")
    return _number(factor), _number(offset) if offset else 0.0


def _number(text: str) -> float:
    """Parse a number or a fraction such as 1/255."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"a number is needed, not {text!r}")
    return value


def ending(endings: Sequence[str]) -> Callable[[str], str]:
    """Return a check that a path has one of the extensions."""

    def check(text: str) -> str:
        if not text.lower().endswith(tuple(endings)):
            raise ArgumentTypeError(
                f"a {' or '.join(endings)} file is needed, not {text}"
            )
        return text

    return check


def existing(endings: Sequence[str]) -> Callable[[str], str]:
    """Return a check that a path is an existing file with one of the extensions."""

    def check(text: str) -> str:
        if not os.path.exists(text):
            raise ArgumentTypeError(
                f"there is no such file: {text}.{did_you_mean_file(text)}"
            )
        if not os.path.isfile(text):
            raise ArgumentTypeError(f"a file is needed, not the folder {text}")
        return ending(endings)(text)

    return check


def data(text: str) -> str:
    """Check that DATA names an .npz file, a folder or a function, and return it."""
    if text.endswith(".npz"):
        return existing((".npz",))(text)
    if os.path.isdir(text):
        return text
    module, _, function = text.partition(":")
    # A file may have a colon in its name.
    if not function or os.path.exists(text):
        raise ArgumentTypeError(
            f"an existing .npz, a folder of pictures by class, or module:function is "
            f"needed, not {text}"
        )
    # The script of an installed command has its own folder on the path, not this one.
    make_importable(os.getcwd())
    try:
        # Finds the module without running it; only packages around it are imported.
        found = importlib.util.find_spec(module)
    # ValueError for a loaded module without a spec, such as `__main__`.
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ArgumentTypeError(f"there is no module {module!r} to import")
    return text


def make_importable(folder: str) -> None:
    """Make the modules of a folder importable, before all others."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
