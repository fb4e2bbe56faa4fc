"""Logs on which a user cannot act, kept off the terminal.

C++ code writes to file descriptor 2, whatever Python's stderr is, and in part
regardless of the log level.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO

_STDERR = 2
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

# Lines of absl and TensorFlow below ERROR, of the converter and of LiteRT.
_CHATTER = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:\d+\.\d+ "
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: "
    rb"|fully_quantize: \d"
    rb"|(?:INFO|VERBOSE|DEBUG): "
)


def hide_for_the_process() -> None:
    """Hide all native logs from now on, and keep Python's stderr.

    A user who sets TF_CPP_MIN_LOG_LEVEL still gets these logs.
    """
    if _LEVEL in os.environ:
        return
    os.environ[_LEVEL] = "2"  # Before TensorFlow is imported.
    sys.stderr.flush()
    # Python's errors keep a copy of the descriptor, which leads to the terminal.
    sys.stderr = os.fdopen(os.dup(_STDERR), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)


def show_all() -> None:
    """Hold nothing back from now on, as in a process whose last words are read."""
    _HOLD.is_off = True


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back native logs within the block, and drop those that are only chatter.

    Other lines, such as errors and what other threads print, follow at the end. A user
    who sets TF_CPP_MIN_LOG_LEVEL to 0 gets all of them at once.
    """
    if os.environ.get(_LEVEL) == "0" or not _HOLD.begin():
        yield
        return
    try:
        yield
    finally:
        _HOLD.end()


@contextlib.contextmanager
def without_tracing_advice() -> Iterator[None]:
    """Drop TensorFlow's warnings of retracing within the block.

    They advise to reuse one model, but a job has to run several.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_no_advice)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "tf.function retracing" not in record.getMessage()


class _Hold:
    """The descriptor of stderr, led into a file while any thread is in a block.

    A descriptor belongs to the whole process, so the first block leads it away and the
    last one back. A file, unlike a pipe, never blocks the code that writes to it.

    Attributes:
        is_off: True if nothing is held back.
    """

    def __init__(self) -> None:
        self.is_off = False
        self._lock = threading.Lock()
        self._depth = 0
        self._terminal = -1
        self._held: BinaryIO | None = None

    def begin(self) -> bool:
        """Hold back what is written; return False if none is to be held."""
        with self._lock:
            if self.is_off or not (self._depth or self._lead_away()):
                return False
            self._depth += 1
            return True

    def end(self) -> None:
        """Leave a block; after the last one, write what is no chatter."""
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._lead_back()

    def _lead_away(self) -> bool:
        _flush()
        try:
            self._terminal = os.dup(_STDERR)
        except OSError:  # Closed, as in a program without a console.
            return False
        self._held = tempfile.TemporaryFile()
        os.dup2(self._held.fileno(), _STDERR)
        return True

    def _lead_back(self) -> None:
        _flush()
        os.dup2(self._terminal, _STDERR)
        os.close(self._terminal)
        if self._held is None:
            return
        with self._held as held:
            held.seek(0)
            for line in held:
                if not _CHATTER.match(line):
                    os.write(_STDERR, line)
        self._held = None


def _flush() -> None:
    """Write what Python's stderr has buffered to where it leads now."""
    # None without a console; a notebook's has no descriptor, but can be flushed.
    if sys.stderr is not None:
        sys.stderr.flush()


_HOLD = _Hold()
