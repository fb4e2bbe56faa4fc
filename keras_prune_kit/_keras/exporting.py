"""A flag that tells layers that the model is being traced for conversion."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_is_exporting = ContextVar("is_exporting", default=False)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """Mark the `with` block as tracing for conversion, where the graph never runs.

    Layers may then emit operators that TensorFlow has no CPU kernel for.
    """
    token = _is_exporting.set(True)
    try:
        yield
    finally:
        _is_exporting.reset(token)


def is_exporting() -> bool:
    """Return True if the model is being traced for conversion."""
    return _is_exporting.get()
