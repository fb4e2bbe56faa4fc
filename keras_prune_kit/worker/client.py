"""The parent's side: it starts the child process, sends calls and awaits results."""

from __future__ import annotations

import atexit
import os
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit._tools.pipes import Frame
from keras_prune_kit.worker.child import Child
from keras_prune_kit.worker.news import Raised, Returned
from keras_prune_kit.worker.stages import end_all


class Client:
    """The child process, started by the first call and by the first after a crash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.child: Child | None = None

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
            answer = self._ask([pickle.dumps(surroundings), *message])
            # Models have to be loaded while their folder is there.
            result: Returned | Raised = unpack(answer, folder, load)
        return result.outcome()

    def close(self) -> None:
        """End the process if it runs."""
        with self._lock:
            self._end()

    def _ask(self, call: Frame) -> Frame:
        # A fork of this process must not share the pipes of its parent's child.
        if self.child is None or not self.child.is_usable:
            self._end()
            self.child = Child()
        try:
            return self.child.ask(call)
        except BaseException:  # The next call must not read the rest of the answer.
            self.child.kill()
            self._end()
            raise
        finally:
            end_all()

    def _end(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.end()


client = Client()
atexit.register(client.close)
