"""Execution of one command: progress bars, result, errors and exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from keras_prune_kit._tools import progress
from keras_prune_kit._tools.chatter import hide_for_the_process
from keras_prune_kit._tools.progress_lines import ProgressLines
from keras_prune_kit.cli.arguments import make_importable
from keras_prune_kit.cli.interrupt import Interrupt
from keras_prune_kit.cli.messages import Notes
from keras_prune_kit.cli.options import read_options
from keras_prune_kit.cli.progress_bars import Bars
from keras_prune_kit.cli.result import Result

_FAILED, _INTERRUPTED = 1, 130  # 128 and the number of SIGINT.
# Errors whose message is meant for the user.
_TOLD = (ValueError, TypeError, OSError, RuntimeError, ImportError)


def run() -> NoReturn:
    """Run `main` and exit the process; the entry point of the shell command.

    After an error or Ctrl-C, TensorFlow threads may still be reading data. One that
    calls Python during interpreter shutdown crashes, so `os._exit` skips the shutdown.
    """
    code = main()
    if code:
        # `os._exit` flushes nothing.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit()


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: Words of the command line. Defaults to `None`: those of the process.

    Returns:
        The exit code: 0, 1 if the job failed, or 130 if it was interrupted. After bad
        usage argparse exits with 2.
    """
    options = read_options(words)
    hide_for_the_process()
    # Files are the same for all backends, and only this one can convert them.
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    console = _console(stderr=True)
    notes = Notes(console, silent=options.json)
    result = _attempt(options, console, notes)
    if isinstance(result, int):
        # Frames of the traceback keep datasets alive that are still being read; with
        # these, the process may never end.
        gc.collect()
        return result
    output = _console()
    if options.json:
        # A line break within a string would be invalid JSON.
        output.soft_wrap = True
    text = result.to_json(notes.texts) if options.json else result.text
    # Brackets in paths and shapes are no markup of rich.
    output.print(text, highlight=False, markup=False)
    return 0


def _attempt(options: Namespace, console: Console, notes: Notes) -> Result | int:
    """Return the result of a command, or an exit code after printing its error."""
    interrupt = Interrupt()
    try:
        with interrupt.awaited(), notes.kept():
            return _run(options, Bars(console, interrupt, silent=options.json))
    except (Exception, KeyboardInterrupt) as error:
        if interrupt.seen or isinstance(error, KeyboardInterrupt):
            console.print("interrupted")
            return _INTERRUPTED
        _tell(error, console)
        return _FAILED


def _shown(options: Namespace, bars: Bars) -> Bars | ProgressLines:
    """Return what shows the stages: bars, or lines for a demo without a terminal."""
    console = bars.console
    if console.is_terminal or options.command != "demo":
        return bars
    return ProgressLines(lambda line: console.print(line, highlight=False))


def _run(options: Namespace, bars: Bars) -> Result:
    if getattr(options, "unsafe", False):
        make_importable(os.getcwd())
    shown = _shown(options, bars)
    with bars, progress.listening(shown.stage, shown.tell):
        with progress.stage("loading TensorFlow"):
            # Only now: commands import TensorFlow, which `--help` must not wait for.
            command = importlib.import_module(f"keras_prune_kit.cli.{options.command}")
        return command.run(options)


def _console(**arguments: Any) -> Console:
    """Return a console that wraps lines on a terminal, but not in a file."""
    console = Console(**arguments)
    console.soft_wrap = not console.is_terminal
    return console


def _tell(error: BaseException, console: Console) -> None:
    """Print an error in one line; in Python's dev mode, print its traceback too."""
    if sys.flags.dev_mode:
        console.print_exception()
    text = " ".join(str(error).split())
    is_native = type(error).__module__.startswith("tensorflow")
    if not text or not (is_native or isinstance(error, _TOLD)):
        text = f"{type(error).__name__}: {text} (python -X dev shows where)"
    console.print(Text.assemble(("error:", "red"), " ", text))
