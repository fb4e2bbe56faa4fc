"""The parent's side: it starts the child process, sends calls and awaits results."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit.worker.frames import NEWS, Frame, read_frame, write_frame
from keras_prune_kit.worker.news import Raised, Returned

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


class Client:
    """The child process, started by the first call and by the first after a crash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self._owner = 0

    def call(
        self,
        function: Callable[..., Any],
        model: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run a function of a model in the child process and return its result.

        Args:
            function: A function of a module.
            model: A built model of JAX or torch.
            args: Its other positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            RuntimeError: If the process cannot start, or is killed.
            ValueError: If an argument cannot be sent.
        """
        # Imported here as they import Keras, which a call needs only now.
        from keras_prune_kit.worker.packing import pack, unpack
        from keras_prune_kit.worker.surroundings import Surroundings

        def load(path: Path, objects: Mapping[str, Any]) -> Any:
            loaded = _keras.load_sent(path, objects)
            _keras.compile_like(model, loaded)
            return loaded

        with self._lock, scratch_folder() as folder:
            surroundings = Surroundings.current(os.fspath(folder))
            message = pack((function, (model, *args), kwargs), folder)
            frame = self._ask([pickle.dumps(surroundings), *message], function.__name__)
            # Models have to be loaded while their folder is there.
            answer: Returned | Raised = unpack(frame, folder, load)
        if isinstance(answer, Raised):
            answer.raise_it()
        return answer.value  # pyright: ignore[reportAttributeAccessIssue]

    def close(self) -> None:
        """End the process if it runs."""
        with self._lock:
            self._end()

    def _ask(self, call: Frame, name: str) -> Frame:
        """Return the message that ends a call, and repeat those before it."""
        process = self._running()
        try:
            write_frame(process.stdin, call)
            while True:
                kind, *parts = read_frame(process.stdout)
                if kind != NEWS:
                    return parts
                pickle.loads(parts[0]).repeat()
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(self._obituary(name.lstrip("_"))) from error
        except BaseException:  # The next call must not read this answer.
            process.kill()
            self._end()
            raise

    def _running(self) -> subprocess.Popen[bytes]:
        # A fork of this process must not share the pipes of its parent's child.
        is_ours = self._owner == os.getpid()
        if self._process is not None and is_ours and self._process.poll() is None:
            return self._process
        if not sys.executable:
            raise RuntimeError(
                "Models of JAX and torch need a child process under TensorFlow, and "
                "this Python knows no executable to start. Load the saved model in a "
                "process with KERAS_BACKEND=tensorflow."
            )
        self._owner, self._errors = os.getpid(), tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *map(os.fspath, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**_DEFAULTS, **os.environ, **_ENVIRONMENT},
        )
        return self._process

    def _obituary(self, name: str) -> str:
        """End the process and return what became of it as a sentence."""
        errors = self._errors
        code = self._end()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = errors.read().decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"ended with exit code {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        if code == _KILLED:
            how += ", as happens when the memory is full"
        return (
            f"The child process under TensorFlow {how} while it ran {name}; the next "
            f"call starts a new one.{said and f' Its last words: {said}'}"
        )

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return 0
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # Ends the child.
        process.stdout.close()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return process.returncode


client = Client()
atexit.register(client.close)
