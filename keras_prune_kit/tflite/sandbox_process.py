"""The child process of a trial, in which the file is run."""

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

import numpy as np

from keras_prune_kit._tools.chatter import show_all
from keras_prune_kit._tools.pipes import private_stdout, read_frame, write_frame
from keras_prune_kit.tflite.runner import Runner, open_interpreter

# The capacity of a pipe on Linux.
_PIECE_BYTES = 2**16
# For two samples `Runner` resizes the inputs, at which some files fail.
_BATCHES = (1, 2)
_REFUSED = 3  # Exit code for a file that raises an ordinary exception.
_MARK = b"\0"  # Precedes the reason, as native code may write before it.
_NOTE = "INFO:"  # Prefix of log lines of the interpreter that are no errors.


@dataclass(frozen=True)
class Trial:
    """A file to be tried, with its inputs and limits.

    Attributes:
        content: The .tflite file.
        arrays: One sample of each input, for runs by `Runner`; if empty, the file is
            only opened; if `None`, it is run on zeros.
        num_threads: Threads of the interpreter.
        cpu_s: CPU time limit in seconds.
        wall_s: Wall time limit in seconds.
    """

    content: bytes
    arrays: Sequence[np.ndarray] | None
    num_threads: int
    cpu_s: int
    wall_s: float

    def packed(self) -> bytes:
        """Return the trial as bytes for `unpacked`: arrays in a row, no pickle."""
        arrays = self.arrays or ()
        count = -1 if self.arrays is None else len(arrays)
        limits = np.array([self.num_threads, self.cpu_s, self.wall_s, count])
        stream = io.BytesIO()
        for array in (limits, np.frombuffer(self.content, np.uint8), *arrays):
            np.save(stream, array, allow_pickle=False)
        return stream.getvalue()

    @classmethod
    def unpacked(cls, message: bytes | bytearray) -> Trial:
        """Return the trial of a message of `packed`."""
        stream = io.BytesIO(message)
        num_threads, cpu_s, wall_s, count = np.load(stream).tolist()
        content = np.load(stream).tobytes()
        arrays = [np.load(stream) for _ in range(int(count))] if count >= 0 else None
        return cls(content, arrays, int(num_threads), int(cpu_s), wall_s)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        said: The interpreter's reason to refuse the file, or its last line of output
            before a crash.
        exit_code: The exit code of the process; negative for a signal.
        is_late: True if the wall time limit was exceeded.
    """

    said: str = ""
    exit_code: int = 0
    is_late: bool = False

    def packed(self) -> bytes:
        """Return the outcome as bytes for `unpacked`."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, message: bytes | bytearray) -> Outcome:
        """Return the outcome of a message of `packed`."""
        return cls(**json.loads(message))

    @property
    def has_crashed(self) -> bool:
        """True if the process ended by a signal or an unexpected exit code."""
        return self.exit_code not in (0, _REFUSED)


def serve() -> None:
    """Run each trial from stdin in a fork, until stdin is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process.
    with private_stdout() as answers, contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            (message,) = read_frame(sys.stdin.buffer)
            write_frame(answers, [_in_fork(Trial.unpacked(message)).packed()])


def try_one() -> None:
    """Run the one trial from stdin in this process."""
    with private_stdout() as answers:
        (message,) = read_frame(sys.stdin.buffer)
        sys.exit(_attempt(Trial.unpacked(message), answers.fileno()))


def _in_fork(trial: Trial) -> Outcome:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _limit(trial.cpu_s)
        os.dup2(writer, sys.stderr.fileno())  # Native code reports a crash there.
        # Skips exit handlers and buffered output, which are copies of the helper's.
        os._exit(_attempt(trial, writer))
    # Else the pipe would stay open here, and reading it would not end.
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
    import resource  # Missing on Windows, which cannot fork either.

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # Crashes are expected here: no core dumps.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _attempt(trial: Trial, answers: int) -> int:
    """Run a file, which may crash this process, and return the exit code."""
    show_all()
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
    """Read a pipe; return its content, and True if it is open at the deadline."""
    text = b""
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(pipe, _PIECE_BYTES)
        if not piece:
            return text, False
        text += piece
    return text, True
