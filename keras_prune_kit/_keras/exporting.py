"""Whether a model is being traced for a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_is_exporting = ContextVar("is_exporting", default=False)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """What is traced inside is converted and never run.

    So it may have operators that this machine has no kernel for.
    """
    token = _is_exporting.set(True)
    try:
        yield
    finally:
        _is_exporting.reset(token)


def is_exporting() -> bool:
    """Whether the model is being traced for a file."""
    return _is_exporting.get()
