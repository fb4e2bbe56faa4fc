"""Progress bars with the time that is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from keras_prune_kit.cli.interrupt import Interrupt

_AVERAGED_SECONDS = 600  # Some steps take minutes each.


class Bars:
    """Shows the stages of a job on a terminal, each as a bar while it lasts.

    Args:
        console: Where to show them; nothing is shown where it is no terminal.
        interrupt: Ends the job at the next step if Ctrl-C went unheard.
        silent: Whether to show nothing at all.
    """

    def __init__(
        self, console: Console, interrupt: Interrupt, *, silent: bool = False
    ) -> None:
        self._interrupt = interrupt
        self._progress = _TextAndBars(
            TextColumn("{task.description:26}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            _Remaining(),
            console=console,
            transient=True,
            speed_estimate_period=_AVERAGED_SECONDS,
            disable=silent or not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[_Bar]:
        """Shows one stage; a `progress.Listener`."""
        self._interrupt.check()
        task = self._progress.add_task(name, total=total)
        try:
            yield _Bar(self._progress, task, self._interrupt)
        finally:
            self._progress.remove_task(task)
            if not self._progress.task_ids:
                self._progress.text = ""


class _TextAndBars(Progress):
    """Bars with lines of text above."""

    text = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.text:
            yield Text(self.text)
        yield from super().get_renderables()


class _Bar:
    """One line of the display."""

    def __init__(
        self, progress: _TextAndBars, task: TaskID, interrupt: Interrupt
    ) -> None:
        self._progress = progress
        self._interrupt = interrupt
        self._task = task

    def advance(self) -> None:
        self._interrupt.check()
        self._progress.advance(self._task)

    def rename(self, name: str) -> None:
        self._progress.update(self._task, description=name)

    def show(self, text: str) -> None:
        self._progress.text = text


class _Remaining(ProgressColumn):
    """How much is done and how long the rest takes, where that can be known."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        seconds = task.time_remaining
        left = "-:--:--" if seconds is None else str(timedelta(seconds=int(seconds)))
        return Text(f"{task.percentage:3.0f} %  {left} left")
