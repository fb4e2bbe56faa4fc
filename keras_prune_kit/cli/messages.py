"""Log messages and warnings that a command prints in addition to its result."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from rich.console import Console

_LOGGER = logging.getLogger("keras_prune_kit")
# They warn of slow callbacks and legacy file formats, which users cannot change here.
_CHATTERERS = [logging.getLogger("absl"), logging.getLogger("tensorflow")]


class Notes(logging.Handler):
    """A log handler that shows the package's logs and all warnings, one line each.

    Args:
        console: Console to print to.
        silent: If True, only collect the lines.

    Attributes:
        texts: The lines so far.
    """

    def __init__(self, console: Console, *, silent: bool) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._console = console
        self._silent = silent

    def emit(self, record: logging.LogRecord) -> None:
        # Messages of Keras span several lines.
        self.texts.append(" ".join(record.getMessage().split()))
        if not self._silent:
            self._console.print(self.texts[-1], highlight=False, markup=False)

    @contextlib.contextmanager
    def kept(self) -> Iterator[Notes]:
        """Collect log messages and warnings within the block."""
        loggers = [_LOGGER, *_CHATTERERS]
        levels = [logger.level for logger in loggers]
        _LOGGER.addHandler(self)
        # By default, a logger drops what is below WARNING.
        _LOGGER.setLevel(logging.INFO)
        # Other packages add handlers to the root logger, which would show lines twice.
        propagates, _LOGGER.propagate = _LOGGER.propagate, False
        for logger in _CHATTERERS:
            logger.setLevel(logging.ERROR)
        try:
            # Restores `showwarning` at the end.
            with warnings.catch_warnings():
                warnings.showwarning = _log_warning
                yield self
        finally:
            _LOGGER.removeHandler(self)
            _LOGGER.propagate = propagates
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _log_warning(message: Warning | str, *args: Any, **options: Any) -> None:
    _LOGGER.warning("%s", message)
