"""Messages of the child process that repeat here what happened there."""

from __future__ import annotations

import logging
import pickle
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# The first part of an answer: of one that ends a call, or of one before that.
END, NEWS = b"end", b"news"

_PACKAGE = Path(__file__).parent.parent
# Where a warning was issued before, as each place issues it once by default.
_issued: dict[str | tuple[str, type[Warning], int], int] = {}


@dataclass(frozen=True)
class Printed:
    """Text for a stream of Python.

    Attributes:
        stream: `"stdout"` or `"stderr"`.
        text: The text.
    """

    stream: str
    text: str

    def repeat(self) -> None:
        """Print it."""
        stream = getattr(sys, self.stream)
        stream.write(self.text)
        stream.flush()


@dataclass(frozen=True)
class Logged:
    """A log message.

    Attributes:
        logger: The name of its logger.
        level: Its level.
        text: The message.
    """

    logger: str
    level: int
    text: str

    def repeat(self) -> None:
        """Log it."""
        logging.getLogger(self.logger).log(self.level, "%s", self.text)


@dataclass(frozen=True)
class Warned:
    """A warning.

    Attributes:
        text: The message.
        category: Its class.
        file: The file that it was issued for.
        line: The line in it.
    """

    text: str
    category: type[Warning]
    file: str
    line: int

    def repeat(self) -> None:
        """Issue it, for the caller's line if it was for the caller there."""
        file, line = self.file, self.line
        if Path(file).parent == Path(__file__).parent:
            file, line = _place_of_caller()
        warnings.warn_explicit(self.text, self.category, file, line, registry=_issued)


@dataclass(frozen=True)
class Raised:
    """The error that ended a call.

    Attributes:
        error: The error; one of another class if that needs TensorFlow.
        trace: Its traceback.
    """

    error: Exception
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Raised:
        """Return the message for an error."""
        trace = "".join(traceback.format_exception(error))
        if not _can_travel(error):
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return cls(error, trace)

    def outcome(self) -> NoReturn:
        """Raise the error, caused by the traceback of the child process."""
        raise self.error from ChildTraceback(self.trace)


class ChildTraceback(Exception):
    """The traceback in the child process, as the cause of an error."""

    def __str__(self) -> str:
        return f"in the child process under TensorFlow\n\n{self.args[0]}"


@dataclass(frozen=True)
class Returned:
    """The result of a call."""

    value: Any

    def outcome(self) -> Any:
        """Return it."""
        return self.value


def _can_travel(error: Exception) -> bool:
    """Return True if an error can be pickled, and TensorFlow is not needed for it."""
    roots = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    try:
        copied = pickle.loads(pickle.dumps(error))
    except Exception:  # Constructors of other packages can raise anything.
        return False
    return "tensorflow" not in roots and str(copied) == str(error)


def _place_of_caller() -> tuple[str, int]:
    """Return the file and the line outside of this package that called into it."""
    frame = sys._getframe()
    while frame.f_back and Path(frame.f_code.co_filename).is_relative_to(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
