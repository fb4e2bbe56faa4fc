"""A first run of a file that nobody vouches for, in a process that may crash.

The interpreter is native code and trusts what a file says of itself: sizes, axes,
indices. A damaged file can make it read outside of its memory, or work for hours; and
there are files that the converter makes and no interpreter runs.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np

from keras_prune_kit.tflite.sandbox_process import Outcome, Trial, framed, read

_CPU_S, _BYTES_A_SECOND = 5, 10_000_000
_CPU_S_OF_MODELS = 120  # They are not out to work for hours, and may be large.
_WALL_FACTOR = 12  # Where the machine has other things to do.
_CODE = """\
import sys
sys.path[:] = sys.argv[2:]
from keras_prune_kit.tflite import sandbox_process
getattr(sandbox_process, sys.argv[1])()
"""
_COULD_NOT_START = 1  # The exit code of Python, as where a package is missing.
_CAN_FORK = hasattr(os, "fork")
_survived: set[str] = set()


def check_runs(content: bytes) -> None:
    """Raises a `ValueError` for a file that the interpreter does not come back from.

    What the interpreter refuses by itself is no concern of this.

    Args:
        content: A .tflite file.
    """
    _check(content, None, 1, _CPU_S)


def check_works(content: bytes, arrays: Sequence[np.ndarray]) -> None:
    """Raises a `ValueError` with the reason for a file that cannot be run.

    It is run as `Runner` does, in batches of one and of more.

    Args:
        content: A .tflite file.
        arrays: One sample of each input, in the order of the file; empty where sizes
            are open, and the file is only opened.
    """
    refusal = _check(content, arrays, os.cpu_count() or 1, _CPU_S_OF_MODELS)
    if refusal:
        raise ValueError(f"the interpreter does not run what became of it: {refusal}")


def _check(
    content: bytes, arrays: Sequence[np.ndarray] | None, num_threads: int, least_s: int
) -> str:
    """Why the interpreter refuses a file; empty if it does not."""
    digest = hashlib.sha256(content).hexdigest()
    if digest in _survived or not sys.executable:
        return ""
    seconds = least_s + len(content) // _BYTES_A_SECOND
    trial = Trial(content, arrays, num_threads, seconds, _WALL_FACTOR * seconds)
    outcome = _helper.outcome(trial) if _CAN_FORK else _alone(trial)
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
    """A process that is kept, and forks for each file.

    To start one takes as long as some forty trials.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def outcome(self, trial: Trial) -> Outcome:
        """How a trial ends."""
        with self._lock:
            process = self._running()
            try:
                process.stdin.write(framed(trial.packed()))
                process.stdin.flush()
                return Outcome.unpacked(read(process.stdout))
            except (EOFError, OSError):  # It could not start, or somebody ended it.
                code = self._end()
                return Outcome(exit_code=0 if code == _COULD_NOT_START else code)
            except BaseException:  # The answer that is still to come is no other's.
                process.kill()
                self._end()
                raise

    def close(self) -> None:
        """Ends the process, if there is one."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        # What is forked from this process must not speak to its helper.
        if self._process is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                _command("serve"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Threads, which nothing here needs, cannot be forked.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return 0
        process.communicate()
        return process.returncode


def _alone(trial: Trial) -> Outcome:
    """Tries a file in a process of its own, where none can be forked."""
    try:
        run = subprocess.run(
            _command("try_one"),
            input=framed(trial.packed()),
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
