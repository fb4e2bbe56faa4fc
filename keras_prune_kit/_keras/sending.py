"""Keras 3 models as files for a process with another backend.

A `.keras` file is the same for all backends, but knows a user's functions only by
their names, and the resolved value of `jit_compile="auto"`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_prune_kit._keras.compiling import check_compiled
from keras_prune_kit._keras.copying.parts import parts_of
from keras_prune_kit._keras.files import configs_of
from keras_prune_kit._keras.layer_classes import is_of_keras
from keras_prune_kit._keras.models import backend_of, check_built, first_line
from keras_prune_kit._keras.trust import dicts
from keras_prune_kit._tools.nests import leaves

_ONE_BACKEND = "TorchModuleWrapper"
_NOWHERE = (None, "builtins")


def save_as_sent(model: Any, path: Path) -> dict[str, Any]:
    """Save a model for `load_sent` in another process.

    Args:
        model: A built Keras 3 model.
        path: The `.keras` file to write.

    Returns:
        The classes and functions that are not from Keras, by name, for `load_sent`.

    Raises:
        ValueError: If it is not built, Keras cannot save it, or a layer computes with
            a module of torch.
    """
    check_built(model)
    _check_portable(model)
    try:
        with _without_tensorflow(), warnings.catch_warnings():
            # Keras warns that bytecode may not be loaded; `load_sent` does.
            warnings.filterwarnings("ignore", ".*includes a `lambda`")
            model.save(os.fspath(path))
    except Exception as error:  # A user's class can raise anything.
        raise ValueError(
            f"Model '{model.name}' is sent from backend '{backend_of(model)}' to "
            f"TensorFlow as a .keras file, which Keras cannot write: "
            f"{first_line(error)}."
        ) from error
    return _own_objects(model, configs_of(os.fspath(path)))


def load_sent(path: Path, objects: Mapping[str, Any], *, compiled: bool = False) -> Any:
    """Load a model that another process of this package has saved.

    It is trusted as that process is, so that its Lambda layers run.

    Args:
        path: The file of `save_as_sent`.
        objects: What that returned.
        compiled: If True, compile it as it was, with a new optimizer. Defaults to
            `False`.

    Raises:
        ValueError: If it cannot be loaded or compiled on this backend.
    """
    keras = sys.modules["keras"]
    try:
        with keras.saving.custom_object_scope(dict(objects)):
            model = keras.models.load_model(
                os.fspath(path), compile=False, safe_mode=False
            )
            _, config = configs_of(os.fspath(path))
            if compiled and config:
                # Resolved for a backend on which XLA may be the better choice.
                model.compile_from_config({**config, "jit_compile": "auto"})
                check_compiled(model)
    except Exception as error:  # A user's class can raise anything.
        raise ValueError(
            "The model cannot be rebuilt on the backend "
            f"'{keras.backend.backend()}': {first_line(error)}. Its own layers and "
            "functions must work on every backend (keras.ops), and a Lambda layer "
            "needs a function of a module."
        ) from error
    return model


def _check_portable(model: Any) -> None:
    for layer in parts_of(model):
        if type(layer).__name__ == _ONE_BACKEND:
            raise ValueError(
                "Only layers that all backends have can be sent to TensorFlow. "
                f"Received: layer '{layer.name}', a {_ONE_BACKEND}. Build it from "
                "layers of Keras and copy the weights."
            )


def _own_objects(model: Any, configs: tuple[Any, ...]) -> dict[str, Any]:
    """Return what configurations name that is not from Keras, by the names in them.

    Raises:
        ValueError: If a name stands for two of them.
    """
    held, found = _held_objects(model), {}
    for node in dicts(list(configs)):
        for name, item in _described(node, held):
            if found.setdefault(name, item) is not item:
                raise ValueError(
                    "A model is sent to TensorFlow as a .keras file, in which a name "
                    f"stands for one class or function. Received: model '{model.name}' "
                    f"with two named {name}. Rename one of them."
                )
    return found


def _described(node: dict[str, Any], held: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the class or function that a configuration describes, with its name."""
    kind = node.get("class_name")
    if not isinstance(kind, str) or "module" not in node:
        return
    name = str(node.get("config")) if kind == "function" else kind
    registered_name = str(node.get("registered_name") or "")
    registered = sys.modules["keras"].saving.get_registered_object(registered_name)
    if registered is not None and not is_of_keras(registered):
        yield registered_name, registered
        # Keras looks functions up by their plain names.
        if kind != "function":
            return
    for item in held:
        # Keras notes no module for a script, and some versions none for functions.
        if item.__name__ == name and node["module"] in (item.__module__, *_NOWHERE):
            yield name, item


def _held_objects(model: Any) -> list[Any]:
    """Return the classes and functions of a model that are not from Keras."""
    parts = parts_of(model)
    compilation = getattr(getattr(model, "_compile_config", None), "config", None)
    values = [*parts, *leaves(compilation or {})]
    values += [value for part in parts for value in vars(part).values()]
    kinds = (types.FunctionType, type)
    items = {value if isinstance(value, kinds) else type(value) for value in values}
    return [item for item in items if not is_of_keras(item)]


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Keep Keras from importing TensorFlow to ask if an object is one of its own.

    Where TensorFlow is not imported, no object can be.
    """
    modules = importlib.import_module("keras.src.utils.module_utils")
    lazy = getattr(modules, "tensorflow", None)
    if lazy is None or "tensorflow" in sys.modules:
        yield
        return
    before = lazy._available
    lazy._available = False
    try:
        yield
    finally:
        lazy._available = before
