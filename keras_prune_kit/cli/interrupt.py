"""Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Remembers that Ctrl-C was pressed, whatever becomes of the exception.

    Raised in the middle of native code, `KeyboardInterrupt` may come out as any error,
    or not at all.

    Attributes:
        seen: Whether it was pressed.
    """

    def __init__(self) -> None:
        self.seen = False

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Listens for it within the block, where Python would."""
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT)
        if not is_main or before is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._receive)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def check(self) -> None:
        """Raises `KeyboardInterrupt` once more, for whoever has swallowed it."""
        if self.seen:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt
