"""Progress of long jobs, reported to a listener; by default there is no listener.

The library reports its long stages here, and the command line shows them as bars.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Stage(Protocol):
    """A running part of a job."""

    def advance(self) -> None:
        """Report that one more step is done."""

    def rename(self, name: str) -> None:
        """Change the name of the stage."""

    def show(self, text: str) -> None:
        """Show lines of text until the stage ends or the next call."""


Listener = Callable[[str, int | None], contextlib.AbstractContextManager[Stage]]
Teller = Callable[[str], None]


class _Unheard:
    def advance(self) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def show(self, text: str) -> None:
        pass


@contextlib.contextmanager
def _nobody(name: str, total: int | None) -> Iterator[Stage]:
    yield _Unheard()


def _to_nobody(text: str) -> None:
    pass


_listener: ContextVar[Listener] = ContextVar("listener", default=_nobody)
_teller: ContextVar[Teller] = ContextVar("teller", default=_to_nobody)


@contextlib.contextmanager
def listening(listener: Listener, teller: Teller = _to_nobody) -> Iterator[None]:
    """Report every stage within the `with` block to a listener.

    Args:
        listener: A function of the name of a stage and its number of steps (`None` if
            unknown) that returns a context manager for the duration of the stage.
        teller: Called with what is told of the job. Defaults to nobody.
    """
    tokens = _listener.set(listener), _teller.set(teller)
    try:
        yield
    finally:
        _listener.reset(tokens[0])
        _teller.reset(tokens[1])


def is_heard() -> bool:
    """Return True if there is a listener."""
    return _listener.get() is not _nobody


def tell(text: str) -> None:
    """Tell what the job is about to do, and what is left of it then."""
    _teller.get()(text)


def stage(
    name: str, total: int | None = None
) -> contextlib.AbstractContextManager[Stage]:
    """Return a context manager for a stage, which lasts as long as the `with` block.

    Args:
        name: The activity, such as `"converting"`.
        total: The number of steps. Defaults to `None`, which means unknown.
    """
    return _listener.get()(name, total)


def track(items: Sequence[Item], name: str) -> Iterator[Item]:
    """Yield the items as the steps of a stage.

    Args:
        items: The items to iterate over.
        name: The activity, such as `"converting"`.

    Example:

    >>> [2 * item for item in track([1, 2, 3], "doubling")]
    [2, 4, 6]
    """
    with stage(name, len(items)) as current:
        for item in items:
            yield item
            current.advance()
