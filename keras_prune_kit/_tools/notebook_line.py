"""Progress in a notebook: one line that is replaced, then the time of each stage.

It needs neither widgets nor escape codes, which some front ends show as they are.
"""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_LEAST_SECONDS = 0.2  # between two updates: each is a message to the front end


def in_notebook() -> bool:
    """Return True if this process is the kernel of a notebook."""
    # Only a process that has imported it can be one.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Line:
    """A line of text, with a bar where HTML is shown.

    Args:
        text: The line.
        share: How much is done, 0 to 1; `None` for no bar.
    """

    def __init__(self, text: str, share: float | None = None) -> None:
        self._text = text
        self._share = share

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = ""
        if self._share is not None:
            # An outline and a filling in the theme's own colour of text.
            bar = (
                '<span aria-hidden="true" style="display: inline-block; width: 12em; '
                'height: .6em; margin-right: .6em; border: 1px solid currentColor">'
                f'<span style="display: block; width: {100 * self._share:.0f}%; '
                'height: 100%; background: currentColor"></span></span>'
            )
        return f"<div>{bar}{html.escape(self._text)}</div>"


class NotebookLine:
    """A `progress.Listener` that shows the running stage in a notebook.

    Args:
        display: Shows a `Line` and returns a handle that replaces it. Defaults to
            `None`: that of IPython.
    """

    def __init__(self, display: Callable[..., Any] | None = None) -> None:
        shown = display or sys.modules["IPython.display"].display
        self._handle = shown(Line("starting"), display_id=True)
        self._open: list[_Stage] = []
        self._seconds: dict[str, float] = {}
        self._told = ""
        self._updated = 0.0
        self._started = time.monotonic()

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[_Stage]:
        """Show a stage until it ends, and then again the one around it."""
        stage = _Stage(self, name, total)
        self._open.append(stage)
        self.update()
        try:
            yield stage
        finally:
            self._open.remove(stage)
            if not self._open:
                # Of "training, epoch 3/9", all epochs are one entry.
                kind = stage.name.partition(",")[0]
                spent = self._seconds.get(kind, 0.0) + stage.seconds
                self._seconds[kind] = spent

    def tell(self, text: str) -> None:
        """Show what the job is about to do beside its stages; a `progress.Teller`."""
        self._told = f" ({text})"

    def update(self) -> None:
        """Show the innermost stage, unless the line was replaced a moment ago."""
        now = time.monotonic()
        if self._open and now - self._updated >= _LEAST_SECONDS:
            self._updated = now
            self._handle.update(self._open[-1].line(self._told))

    def finish(self) -> None:
        """Replace the line by the time that each stage took, the longest first."""
        whole = time.monotonic() - self._started
        longest = sorted(self._seconds.items(), key=lambda entry: -entry[1])
        parts = [f"{kind} {_seconds_text(spent)}" for kind, spent in longest]
        text = f"{_seconds_text(whole)}: {', '.join(parts)}" if parts else "done"
        self._handle.update(Line(text))


class _Stage:
    """One stage; a `progress.Stage`."""

    def __init__(self, shown: NotebookLine, name: str, total: int | None) -> None:
        self.name = name
        self._shown = shown
        self._total = total
        self._done = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def line(self, told: str) -> Line:
        if not self._total:
            return Line(f"{self.name}, {_seconds_text(self.seconds)}{told}")
        share = min(self._done / self._total, 1.0)
        left = ""
        if self._done:
            rest = self.seconds * (self._total - self._done) / self._done
            left = f", {_seconds_text(max(rest, 0))} left"
        return Line(f"{self.name}: {share:.0%}{left}{told}", share)

    def advance(self) -> None:
        self._done += 1
        self._shown.update()

    def rename(self, name: str) -> None:
        self.name = name
        self._shown.update()

    def show(self, text: str) -> None:
        """Show nothing: a notebook shows results itself."""


def _seconds_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
