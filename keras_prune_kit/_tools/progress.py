"""How far a long job is, for whoever listens; by default nobody does.

The library names its long stages here, the command line shows them as bars.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Stage(Protocol):
    """A part of a job that is under way."""

    def advance(self) -> None:
        """Says that one more of its steps is done."""

    def rename(self, name: str) -> None:
        """Says what it is doing now."""

    def show(self, text: str) -> None:
        """Shows lines of text for as long as it lasts, or until the next ones."""


Listener = Callable[[str, int | None], contextlib.AbstractContextManager[Stage]]


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


_listener: ContextVar[Listener] = ContextVar("listener", default=_nobody)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Lets a listener hear of every stage, within the `with` block.

    Args:
        listener: Takes the name of a stage and the number of its steps (`None` if
            nobody knows), and gives a context manager that lasts as long as the stage.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def stage(
    name: str, total: int | None = None
) -> contextlib.AbstractContextManager[Stage]:
    """A part of a job, which lasts as long as the `with` block.

    Args:
        name: What is being done, such as `"converting"`.
        total: The number of steps. Defaults to `None`: not known.
    """
    return _listener.get()(name, total)


def track(items: Sequence[Item], name: str) -> Iterator[Item]:
    """Gives the items one by one, as the steps of a stage.

    Args:
        items: What to work through.
        name: What is being done with them.

    Example:

    >>> [2 * item for item in track([1, 2, 3], "doubling")]
    [2, 4, 6]
    """
    with stage(name, len(items)) as current:
        for item in items:
            yield item
            current.advance()
