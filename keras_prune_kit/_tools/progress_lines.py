"""Progress as lines of text, one for each stage, where no bars can be drawn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator


class ProgressLines:
    """A listener that writes a line at the end of each stage of a job.

    A line has the time since the start of the job, the stage, and how long it took. Of
    stages within stages only the outermost has one. What the job tells has one, too.

    Args:
        write: Called with each line.

    Example:

    >>> from keras_prune_kit._tools import progress
    >>> with progress.listening(ProgressLines(print).stage):
    ...     for item in progress.track("abc", "counting"):
    ...         pass
       0.0 s  counting (0.0 s)
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._begin = time.perf_counter()
        self._depth = 0

    def tell(self, text: str) -> None:
        """Write what the job is about to do; a `progress.Teller`."""
        self._write(f"{time.perf_counter() - self._begin:6.1f} s  {text}")

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[_Line]:
        """Follow one stage; a `progress.Listener`."""
        line, begin = _Line(name), time.perf_counter()
        self._depth += 1
        try:
            yield line
        finally:
            self._depth -= 1
        if not self._depth:
            end = time.perf_counter()
            taken = f"({end - begin:.1f} s)"
            self._write(f"{end - self._begin:6.1f} s  {line.name} {taken}")


class _Line:
    """The name of one stage; a `progress.Stage`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def advance(self) -> None:
        pass

    def rename(self, name: str) -> None:
        self.name = name

    def show(self, text: str) -> None:
        pass
