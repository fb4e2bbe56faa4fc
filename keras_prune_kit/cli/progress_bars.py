"""Progress bars with elapsed and remaining time."""

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

_AVERAGED_SECONDS = 600  # Averages the speed: single steps may take minutes.


class Bars:
    """Progress bars on a terminal, one for each stage of a job that is running.

    Args:
        console: Console to draw on; nothing is drawn unless it is a terminal.
        interrupt: Ends the job at the next step if Ctrl-C was swallowed.
        silent: If True, nothing is drawn.

    Attributes:
        console: The console.
    """

    def __init__(
        self, console: Console, interrupt: Interrupt, *, silent: bool = False
    ) -> None:
        self.console = console
        self._interrupt = interrupt
        self._progress = _TextAndBars(
            TextColumn("{task.description:26}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            _Remaining(),
            console=console,
            transient=True,
            speed_estimate_period=_AVERAGED_SECONDS,
            # In a file, each redrawn bar would be another line.
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
        """Show one stage as a bar; a `progress.Listener`."""
        self._interrupt.check()
        task = self._progress.add_task(name, total=total)
        try:
            yield _Bar(self._progress, task, self._interrupt)
        finally:
            self._progress.remove_task(task)
            if not self._progress.task_ids:
                self._progress.text = ""

    def tell(self, text: str) -> None:
        """Show what the job is about to do above the bars; a `progress.Teller`."""
        self._progress.told = text


class _TextAndBars(Progress):
    """Progress bars with lines of text above."""

    text = told = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        for text in filter(None, (self.text, self.told)):
            yield Text(text)
        yield from super().get_renderables()


class _Bar:
    """The bar of one stage; a `progress.Stage`."""

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
    """The percentage done and the remaining time, if the total is known."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        seconds = task.time_remaining
        left = "-:--:--" if seconds is None else str(timedelta(seconds=int(seconds)))
        return Text(f"{task.percentage:3.0f} %  {left} left")
