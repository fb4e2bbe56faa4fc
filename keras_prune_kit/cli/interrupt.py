"""Handling of Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """A record of Ctrl-C that outlives its exception.

    A `KeyboardInterrupt` raised while native code calls Python may surface as any other
    error, or not at all.

    Attributes:
        seen: True if Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.seen = False

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Record Ctrl-C within the block, if Python's own handler is installed."""
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT)
        # Only the main thread may set handlers; one of someone else's stays.
        if not is_main or before is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._receive)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def check(self) -> None:
        """Raise `KeyboardInterrupt` again if Ctrl-C was pressed and got swallowed."""
        if self.seen:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.seen = True  # Before the exception, which may get lost.
        raise KeyboardInterrupt
