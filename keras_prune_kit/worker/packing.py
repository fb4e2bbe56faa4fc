"""Messages as pickles, in which models are files and datasets are their batches."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import as_arrays
from keras_prune_kit._tools.pipes import Frame
from keras_prune_kit.worker.datasets import SentBatches, batches_of, is_dataset

# Loads a model from a file, with the classes and functions that it names.
Load = Callable[[Path, Mapping[str, Any]], Any]


def pack(message: Any, folder: str | os.PathLike[str]) -> Frame:
    """Return a message in parts, for `unpack` in another process.

    Args:
        message: Anything that can be pickled; models and datasets may be in it.
        folder: A folder for the files of models.

    Raises:
        ValueError: If the other process could not import a class or function, or
            something cannot be pickled.
    """
    stream, buffers = io.BytesIO(), []
    try:
        _Packer(stream, Path(folder), buffers).dump(message)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "What goes to the child process under TensorFlow must be arrays, datasets "
            f"or objects that can be pickled: {error}."
        ) from error
    return [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]


def unpack(frame: Frame, folder: str | os.PathLike[str], load: Load) -> Any:
    """Return the message that `pack` was given.

    Args:
        frame: Its parts.
        folder: The folder with the files of models.
        load: Loads these.
    """
    content, *buffers = frame
    return _Unpacker(io.BytesIO(content), Path(folder), buffers, load).load()


class _Packer(pickle.Pickler):
    def __init__(self, stream: Any, folder: Path, buffers: list[Any]) -> None:
        super().__init__(stream, protocol=5, buffer_callback=buffers.append)
        self._folder = folder
        # The models too: while they are held, no other object has their identity.
        self._saved: dict[int, tuple[Any, str, dict[str, Any]]] = {}

    def persistent_id(self, obj: Any) -> Any:
        """Save a model and return its file, with what has to be imported for it."""
        if not _is_model(obj):
            return None
        if id(obj) not in self._saved:
            name = f"{len(os.listdir(self._folder))}.keras"
            objects = _keras.save_as_sent(obj, self._folder / name)
            self._saved[id(obj)] = obj, name, objects
        return self._saved[id(obj)][1:]

    def reducer_override(self, obj: Any) -> Any:
        """Replace what pickles badly, and refuse what cannot be imported elsewhere."""
        if isinstance(obj, type | types.FunctionType):
            _check_importable(obj)
        elif inspect.isgenerator(obj):
            raise ValueError(
                "A generator cannot be sent to the child process under TensorFlow. "
                "Pass arrays, or a dataset that can be read again."
            )
        elif is_dataset(obj):
            return SentBatches, (batches_of(obj),)
        elif _is_array_elsewhere(obj):
            return np.asarray, (as_arrays(obj, "data"),)
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(
        self, stream: Any, folder: Path, buffers: Sequence[Any], load: Load
    ) -> None:
        super().__init__(stream, buffers=buffers)
        self._folder = folder
        self._load = load
        self._loaded: dict[str, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        """Load a model from its file, once."""
        name, objects = pid
        if name not in self._loaded:
            self._loaded[name] = self._load(self._folder / name, objects)
        return self._loaded[name]


def _is_model(item: Any) -> bool:
    try:
        _keras.world(item)
    except TypeError:
        return False
    return True


def _is_array_elsewhere(item: Any) -> bool:
    """Return True for a tensor or a data frame, which need their package there."""
    is_own = isinstance(item, np.ndarray | np.generic)
    return not is_own and (hasattr(item, "__array__") or hasattr(item, "to_numpy"))


def _check_importable(item: Any) -> None:
    """Raise a `ValueError` for a class or function that has no name to import it by."""
    module, name = item.__module__, item.__qualname__
    spec = getattr(sys.modules.get(module), "__spec__", None)
    if module == "__main__" or "<" in name or spec is None:
        kind = "class" if isinstance(item, type) else "function"
        raise ValueError(
            "A child process under TensorFlow runs this for models of JAX and torch, "
            "and imports classes and functions by name. Received: the "
            f"{kind} {name} of module {module}. Move it to a module that can be "
            "imported."
        )
