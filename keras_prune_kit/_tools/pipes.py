"""Messages between processes on a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

_NUMBER_BYTES = 8

Frame = Sequence[Any]  # The parts of a message: bytes, or views of arrays.


def private_stdout() -> BinaryIO:
    """Return a private copy of stdout, and send what others print to stderr."""
    answers = open(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def write_frame(stream: Any, frame: Frame) -> None:
    """Write the parts of a message, each with its length."""
    stream.write(_number(len(frame)))
    for part in frame:
        stream.write(_number(len(part)))
        stream.write(part)
    stream.flush()


def read_frame(stream: Any) -> list[bytearray]:
    """Read the parts of a message; raise an `EOFError` if the pipe was closed."""
    return [_read(stream, _length(stream)) for _ in range(_length(stream))]


def _number(value: int) -> bytes:
    return value.to_bytes(_NUMBER_BYTES, "big")


def _length(stream: Any) -> int:
    return int.from_bytes(_read(stream, _NUMBER_BYTES), "big")


def _read(stream: Any, length: int) -> bytearray:
    # Writable, as arrays are made of it in place.
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = stream.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]
    return content
