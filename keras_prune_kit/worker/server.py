"""The child process under TensorFlow, which runs one call after the other."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.pipes import (
    Frame,
    private_stdout,
    read_frame,
    write_frame,
)
from keras_prune_kit.worker.news import (
    END,
    NEWS,
    Logged,
    Printed,
    Raised,
    Returned,
    Warned,
)
from keras_prune_kit.worker.packing import pack, unpack
from keras_prune_kit.worker.stages import Reporter
from keras_prune_kit.worker.surroundings import LOGGER, Surroundings


def serve() -> None:
    """Run each call from stdin and write its result to stdout, until stdin closes."""
    # Ctrl-C is for the parent process, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    requests = sys.stdin.buffer
    threading.Thread(target=_listen, args=(requests, calls), daemon=True).start()
    answers = _Answers(private_stdout())
    sys.stdout, sys.stderr = _Stream("stdout", answers), _Stream("stderr", answers)
    while True:
        answers.write([END, *_answer(calls.get(), answers)])


def _listen(requests: Any, calls: queue.SimpleQueue[Frame]) -> None:
    """Put calls in a queue, and end the process, even amid one, without a parent."""
    try:
        while True:
            calls.put(read_frame(requests))
    except EOFError:
        os._exit(0)


class _Answers:
    """The pipe to the parent process, which any thread may write to."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def tell(self, news: Any) -> None:
        """Write a message that is not the end of a call."""
        self.write([NEWS, pickle.dumps(news)])

    def write(self, frame: Frame) -> None:
        """Write a message that is in parts already."""
        with self._lock:
            write_frame(self._stream, frame)


class _Stream(io.TextIOBase):
    """A stream of Python that the parent process prints."""

    encoding = "utf-8"
    is_terminal = False

    def __init__(self, name: str, answers: _Answers) -> None:
        self._name = name
        self._answers = answers

    def write(self, text: str, /) -> int:
        self._answers.tell(Printed(self._name, text))
        return len(text)

    def isatty(self) -> bool:
        return self.is_terminal


class _Log(logging.Handler):
    """A log handler whose messages the parent process logs."""

    def __init__(self, answers: _Answers) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._answers.tell(Logged(record.name, record.levelno, text))


def _answer(call: Frame, answers: _Answers) -> Frame:
    """Run a call and return its result or its error, in parts."""
    try:
        surroundings: Surroundings = pickle.loads(call[0])
        _prepare(surroundings, answers)
        with _heard(answers) if surroundings.is_heard else contextlib.nullcontext():
            result = _run(call[1:], surroundings.folder, answers)
        return pack(result, surroundings.folder)
    except Exception as error:  # The user's classes can raise anything.
        return [pickle.dumps(Raised.of(error))]


def _prepare(surroundings: Surroundings, answers: _Answers) -> None:
    surroundings.adopt()
    _Stream.is_terminal = surroundings.is_terminal
    if not LOGGER.handlers:
        LOGGER.addHandler(_Log(answers))
        LOGGER.propagate = False


def _heard(answers: _Answers) -> contextlib.AbstractContextManager[None]:
    """Return a context whose stages the parent process hears."""
    reporter = Reporter(answers.tell)
    return progress.listening(reporter.stage, reporter.tell)


def _run(call: Frame, folder: str, answers: _Answers) -> Returned:
    with warnings.catch_warnings():
        # The filters of the parent process decide.
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, filename, lineno, *_: (
            answers.tell(Warned(str(message), _known(category), filename, lineno))
        )
        function, args, kwargs = unpack(call, folder, _load)
        return Returned(function(*args, **kwargs))


def _load(path: Path, objects: Mapping[str, Any]) -> Any:
    return _keras.load_sent(path, objects, compiled=True)


def _known(category: type[Warning]) -> type[Warning]:
    """Return the class of a warning, or the nearest that TensorFlow is not needed for.

    A class that has no name to import it by is of no use to the parent either.
    """
    for base in category.__mro__:
        is_native = base.__module__.partition(".")[0] == "tensorflow"
        if not is_native and "<" not in base.__qualname__:
            return base
    return UserWarning
