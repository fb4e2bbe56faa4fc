"""The other side of a trial: the process in which a file is run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np

from keras_prune_kit.tflite.runner import Runner, open_interpreter

_LENGTH_BYTES = 8
_PIECE_BYTES = 2**16
_BATCHES = (1, 2)
_REFUSED = 3  # The exit code for what the interpreter refuses by itself.
_MARK = b"\0"  # Stands before its reason.
_NOTE = "INFO:"  # What the interpreter says where all is well.


@dataclass(frozen=True)
class Trial:
    """One file to be tried.

    Attributes:
        content: The file.
        arrays: One sample of each input, for a run like those of `Runner`; `None` for
            a run on zeros.
        num_threads: Threads of the interpreter.
        cpu_s: Seconds that it may compute.
        wall_s: Seconds that it may take.
    """

    content: bytes
    arrays: Sequence[np.ndarray] | None
    num_threads: int
    cpu_s: int
    wall_s: float

    def packed(self) -> bytes:
        """Return the trial for `unpacked`: arrays in a row, nothing pickled."""
        arrays = self.arrays or ()
        count = -1 if self.arrays is None else len(arrays)
        limits = np.array([self.num_threads, self.cpu_s, self.wall_s, count])
        stream = io.BytesIO()
        for array in (limits, np.frombuffer(self.content, np.uint8), *arrays):
            np.save(stream, array, allow_pickle=False)
        return stream.getvalue()

    @classmethod
    def unpacked(cls, message: bytes) -> Trial:
        """The trial that a message of `packed` holds."""
        stream = io.BytesIO(message)
        num_threads, cpu_s, wall_s, count = np.load(stream).tolist()
        content = np.load(stream).tobytes()
        arrays = [np.load(stream) for _ in range(int(count))] if count >= 0 else None
        return cls(content, arrays, int(num_threads), int(cpu_s), wall_s)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        said: Why the interpreter refuses the file, or the last that it said in a crash.
        exit_code: That of the process; negative for a signal.
        is_late: Whether it took too long.
    """

    said: str = ""
    exit_code: int = 0
    is_late: bool = False

    def packed(self) -> bytes:
        """The outcome as `unpacked` reads it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, message: bytes) -> Outcome:
        """The outcome that a message of `packed` holds."""
        return cls(**json.loads(message))

    @property
    def has_crashed(self) -> bool:
        """Whether the process ended before its time."""
        return self.exit_code not in (0, _REFUSED)


def framed(message: bytes) -> bytes:
    """A message as it goes through a pipe, behind its length."""
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message


def read(stream: Any) -> bytes:
    """The next message that comes through a pipe; an `EOFError` if none comes."""
    length = stream.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        raise EOFError
    return stream.read(int.from_bytes(length, "big"))


def serve() -> None:
    """Tries what comes through stdin in a fork each, until nothing comes any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # That is for who asked for trials.
    with _answers() as answers, contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            outcome = _in_fork(Trial.unpacked(read(sys.stdin.buffer)))
            answers.write(framed(outcome.packed()))
            answers.flush()


def try_one() -> None:
    """Tries what comes through stdin in this very process."""
    with _answers() as answers:
        sys.exit(_attempt(Trial.unpacked(read(sys.stdin.buffer)), answers.fileno()))


def _answers() -> BinaryIO:
    """What was stdout, where nobody else writes to it."""
    answers = open(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _in_fork(trial: Trial) -> Outcome:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _limit(trial.cpu_s)
        os.dup2(writer, sys.stderr.fileno())  # What native code says in a crash.
        os._exit(_attempt(trial, writer))
    os.close(writer)
    text, is_late = _read_until(reader, time.monotonic() + trial.wall_s)
    os.close(reader)
    if is_late:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lines = text.rpartition(_MARK)[2].decode(errors="replace").splitlines()
    said = [line for line in lines if not line.startswith(_NOTE)] if code else []
    return Outcome(" ".join(said[-1:]), code, is_late)


def _limit(seconds: int) -> None:
    import resource  # There is none where nothing can be forked.

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _attempt(trial: Trial, answers: int) -> int:
    """Runs a file, whatever that does to this process; gives its exit code."""
    try:
        _run(trial)
    except Exception as error:
        lines = str(error).split("\n")
        os.write(answers, _MARK + " ".join(filter(None, lines)).encode())
        return _REFUSED
    return 0


def _run(trial: Trial) -> None:
    if trial.arrays is None:
        _run_on_zeros(trial)
        return
    runner = Runner(trial.content, trial.num_threads)
    for count in _BATCHES if trial.arrays else ():
        runner.run([np.repeat(array, count, 0) for array in trial.arrays])


def _run_on_zeros(trial: Trial) -> None:
    interpreter = open_interpreter(trial.content, trial.num_threads)
    interpreter.allocate_tensors()
    for item in interpreter.get_input_details():
        interpreter.set_tensor(item["index"], np.zeros(item["shape"], item["dtype"]))
    interpreter.invoke()


def _read_until(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """All that comes through a pipe, and whether it is still open at the deadline."""
    text = b""
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(pipe, _PIECE_BYTES)
        if not piece:
            return text, False
        text += piece
    return text, True
