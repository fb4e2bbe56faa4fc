"""The child process as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile

from keras_prune_kit._tools.pipes import Frame, read_frame, write_frame
from keras_prune_kit.worker.news import NEWS

# The child finds packages where this process does, also if sys.path was changed.
_CODE = """\
import sys
sys.path[:] = sys.argv[1:]
from keras_prune_kit.worker.server import serve
serve()
"""
_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow"}
# Those of the user win.
_DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # This process may have most of the GPU's memory.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
_TAIL_BYTES = 4096  # Where the last words of native code are.
_PATIENCE_S = 5
_KILLED = -9


class Child:
    """A running child process.

    Raises:
        RuntimeError: If this Python knows no executable to start.
    """

    def __init__(self) -> None:
        if not sys.executable:
            raise RuntimeError(
                "Models of JAX and torch need a child process under TensorFlow, and "
                "this Python knows no executable to start. Load the saved model in a "
                "process with KERAS_BACKEND=tensorflow."
            )
        self._owner = os.getpid()
        # Native code writes there what is of use after a crash only.
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *map(os.fspath, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**_DEFAULTS, **os.environ, **_ENVIRONMENT},
        )

    @property
    def is_usable(self) -> bool:
        """True if the process runs and is a child of this one."""
        return self._owner == os.getpid() and self.process.poll() is None

    def ask(self, call: Frame) -> Frame:
        """Return the message that ends a call, and repeat those before it.

        Raises:
            RuntimeError: If the process ends instead.
        """
        # If it has ended, the end of its answers tells so.
        with contextlib.suppress(BrokenPipeError):
            write_frame(self.process.stdin, call)
        while True:
            kind, *answer = self._read()
            if kind != NEWS:
                return answer
            pickle.loads(answer[0]).repeat()

    def kill(self) -> None:
        """Send the process a signal that it cannot ignore."""
        self.process.kill()

    def end(self) -> None:
        """Let the process end and wait for it."""
        if self._owner == os.getpid():
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()  # Ends the child.
            self._wait()
        self.process.stdout.close()
        self._errors.close()

    def _read(self) -> Frame:
        try:
            return read_frame(self.process.stdout)
        except EOFError as error:
            raise RuntimeError(self._obituary()) from error

    def _wait(self) -> int:
        try:
            return self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()

    def _obituary(self) -> str:
        """Return what became of the process, and its last words."""
        code = self._wait()
        how = f"ended with exit code {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        if code == _KILLED:
            how += ", as happens when the memory is full"
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return (
            f"The child process under TensorFlow {how}, so this call has no result; "
            f"the next one starts a new process.{said and f' Its last words: {said}'}"
        )
