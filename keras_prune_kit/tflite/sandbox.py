"""A trial run of an untrusted file in a separate process, which may crash.

The interpreter is native code that trusts the sizes, axes and indices in a file. A
damaged file can make it read out of bounds or compute for hours; and the converter
writes some files that abort the interpreter.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np

from keras_prune_kit._tools.pipes import read_frame, write_frame
from keras_prune_kit.tflite.sandbox_process import Outcome, Trial

# Larger files take longer: a second more for each 10 MB.
_CPU_S, _BYTES_A_SECOND = 5, 10_000_000
_CPU_S_OF_MODELS = 120  # Converted models are trusted, but may be large.
_WALL_FACTOR = 12  # Wall time per CPU time, for a busy machine.
# The child finds packages where this process does, also if sys.path was changed.
_CODE = """\
import sys
sys.path[:] = sys.argv[2:]
from keras_prune_kit.tflite import sandbox_process
getattr(sandbox_process, sys.argv[1])()
"""
_COULD_NOT_START = 1  # Exit code of Python, for example if a package is missing.
_CAN_FORK = hasattr(os, "fork")
_survived: set[str] = set()


def check_runs(content: bytes) -> None:
    """Raise a ValueError if a file crashes the interpreter or runs for too long.

    A file that the interpreter refuses with an error of its own passes.

    Args:
        content: A .tflite file.

    Raises:
        ValueError: If it does; the message has the exit code or the time limit.
    """
    _check(content, None, 1, _CPU_S)


def check_works(content: bytes, arrays: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if the interpreter cannot run a file.

    The file is run by `Runner`, in batches of one and of two samples.

    Args:
        content: A .tflite file.
        arrays: One sample of each input, in the order of the file; if empty, the file
            is only opened.

    Raises:
        ValueError: If it cannot; the message has the reason.
    """
    refusal = _check(content, arrays, os.cpu_count() or 1, _CPU_S_OF_MODELS)
    if refusal:
        raise ValueError(f"the interpreter cannot run the converted file: {refusal}")


def _check(
    content: bytes, arrays: Sequence[np.ndarray] | None, num_threads: int, least_s: int
) -> str:
    """Return the interpreter's reason to refuse a file; empty if it accepts it."""
    digest = hashlib.sha256(content).hexdigest()
    # A Python inside another program may know no executable to start.
    if digest in _survived or not sys.executable:
        return ""
    seconds = least_s + len(content) // _BYTES_A_SECOND
    trial = Trial(content, arrays, num_threads, seconds, _WALL_FACTOR * seconds)
    outcome = _helper.outcome(trial) if _CAN_FORK else _in_new_process(trial)
    if outcome.is_late:
        raise ValueError(f"it does not run within {seconds} seconds")
    if outcome.has_crashed:
        said = outcome.said and f": {outcome.said}"
        raise ValueError(
            f"the interpreter crashes on it, or needs more than {seconds} seconds "
            f"(exit code {outcome.exit_code}){said}"
        )
    if not outcome.said:
        _survived.add(digest)
    return outcome.said


class _Helper:
    """A long-lived process that forks for each trial.

    Starting a new process takes as long as about forty trials.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def outcome(self, trial: Trial) -> Outcome:
        """Run a trial and return its outcome."""
        with self._lock:
            process = self._running()
            try:
                write_frame(process.stdin, [trial.packed()])
                (answer,) = read_frame(process.stdout)
                return Outcome.unpacked(answer)
            except (EOFError, OSError):  # It could not start, or was killed.
                # A child that could not start says nothing about the file: it passes.
                code = self._end()
                return Outcome(exit_code=0 if code == _COULD_NOT_START else code)
            except BaseException:  # The next trial must not read this answer.
                process.kill()
                self._end()
                raise

    def close(self) -> None:
        """End the process if it runs."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        # A fork of this process must not share the pipes of its parent's helper.
        if self._process is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                _command("serve"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # The helper forks, which is unsafe with the threads of OpenBLAS.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return 0
        # Closes stdin, which ends the helper, and waits for it.
        process.communicate()
        return process.returncode


def _in_new_process(trial: Trial) -> Outcome:
    """Run a trial in a new process, on platforms without fork."""
    message = io.BytesIO()
    write_frame(message, [trial.packed()])
    try:
        run = subprocess.run(
            _command("try_one"),
            input=message.getvalue(),
            capture_output=True,
            timeout=trial.wall_s,
        )
    except subprocess.TimeoutExpired:
        return Outcome(is_late=True)
    code = 0 if run.returncode == _COULD_NOT_START else run.returncode
    return Outcome(run.stdout.decode(errors="replace"), code)


def _command(function: str) -> list[str]:
    return [sys.executable, "-c", _CODE, function, *sys.path]


_helper = _Helper()
atexit.register(_helper.close)
