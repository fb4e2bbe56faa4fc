"""The stages of a job in the child process, which the parent's listener hears."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_prune_kit._tools import progress

# Here in the parent: the stages that the child has begun, by their number.
_running: dict[int, tuple[contextlib.ExitStack, progress.Stage]] = {}


@dataclass(frozen=True)
class Begun:
    """A stage that begins."""

    number: int
    name: str
    total: int | None

    def repeat(self) -> None:
        """Begin it here."""
        end = contextlib.ExitStack()
        stage = end.enter_context(progress.stage(self.name, self.total))
        _running[self.number] = end, stage


@dataclass(frozen=True)
class Changed:
    """A call of a method of a stage."""

    number: int
    method: str
    args: tuple[str, ...] = ()

    def repeat(self) -> None:
        """Call it here."""
        _, stage = _running[self.number]
        getattr(stage, self.method)(*self.args)


@dataclass(frozen=True)
class Ended:
    """A stage that ends."""

    number: int

    def repeat(self) -> None:
        """End it here."""
        end, _ = _running.pop(self.number)
        end.close()


@dataclass(frozen=True)
class Told:
    """A text that a job tells before it does something."""

    text: str

    def repeat(self) -> None:
        """Tell it here."""
        progress.tell(self.text)


def end_all() -> None:
    """End the stages of a child process that did not end them, the last one first."""
    while _running:
        end, _ = _running.popitem()[1]
        end.close()


class Reporter:
    """A listener in the child process that sends what it hears.

    Args:
        send: Called with each message for the parent process.
    """

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._count = 0

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[_Sent]:
        """Follow one stage; a `progress.Listener`."""
        self._count += 1
        number = self._count
        self._send(Begun(number, name, total))
        try:
            yield _Sent(number, self._send)
        finally:
            self._send(Ended(number))

    def tell(self, text: str) -> None:
        """Send what the job is about to do."""
        self._send(Told(text))


class _Sent:
    """One stage; a `progress.Stage`."""

    def __init__(self, number: int, send: Callable[[Any], None]) -> None:
        self._number = number
        self._send = send

    def advance(self) -> None:
        self._send(Changed(self._number, "advance"))

    def rename(self, name: str) -> None:
        self._send(Changed(self._number, "rename", (name,)))

    def show(self, text: str) -> None:
        self._send(Changed(self._number, "show", (text,)))
