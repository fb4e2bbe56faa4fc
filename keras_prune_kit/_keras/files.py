"""Model files: which Keras wrote them, and whether it is safe to load them."""

from __future__ import annotations

import importlib
import json
import os
import re
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import h5py

from keras_prune_kit._keras.containment import check_contained
from keras_prune_kit._keras.trust import ForeignCode, foreign_code, import_objects
from keras_prune_kit._tools.checks import as_path

# What `compile` understands beside the names of metrics.
_METRIC_WORDS = {"accuracy", "acc", "crossentropy", "ce"}
# How Keras says that it does not know a class.
_MISSING = re.compile(r"(?:Unknown \w+: |locate \w+ |object of type )['`](\w+)['`]")


class UnsafeModelError(ValueError):
    """A model file holds code that would run when it is loaded."""


def load(
    path: str | os.PathLike[str], *, compiled: bool = False, unsafe: bool = False
) -> Any:
    """Loads a model file with the Keras that wrote it.

    Args:
        path: A `.keras` or `.h5` file.
        compiled: Whether to compile the model as it was, with a fresh optimizer. It
            stays uncompiled where the file does not say how, or that needs code that
            is not Keras' own. Defaults to `False`.
        unsafe: Whether code in the file may run: a Lambda layer, or classes of modules
            that it names. Defaults to `False`.

    Raises:
        OSError: If there is no such file.
        UnsafeModelError: If its model needs code that is not Keras' own.
        ValueError: If it is no model file, or cannot be loaded.
    """
    path = os.fspath(as_path("path", path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no such file: {path}.")
    file = _ModelFile.read(path)
    foreign = foreign_code(file.model_config, file.world)
    if foreign and not unsafe:
        raise _unsafe(path, foreign)
    # A damaged file can raise anything, from the depths of any decoder.
    try:
        return file.load(import_objects(foreign), compiled=compiled, unsafe=unsafe)
    except Exception as error:
        raise ValueError(f"{path} cannot be loaded: {_reason(error)}.") from error


def opened(model: Any, *, compiled: bool = False) -> Any:
    """Return a model as it is, or the one in the file that a path names.

    Args:
        model: A Keras model, or the path of a `.keras` or `.h5` file.
        compiled: As in `load`. Defaults to `False`.

    Raises:
        As `load`.
    """
    is_path = isinstance(model, str | os.PathLike)
    return load(model, compiled=compiled) if is_path else model


def check_safe(path: str, trusted: Collection[str] = ()) -> None:
    """Looks into a model file before something else loads it.

    Args:
        path: A `.keras` or `.h5` file.
        trusted: Packages whose classes may be loaded beside those of Keras.

    Raises:
        UnsafeModelError: If its model needs code of others.
        ValueError: If it is no model file.
    """
    file = _ModelFile.read(path)
    configs = [file.model_config, file.compile_config]
    foreign = foreign_code(configs, file.world, frozenset(trusted))
    if foreign:
        raise _unsafe(path, foreign)


def _unsafe(path: str, foreign: list[ForeignCode]) -> UnsafeModelError:
    return UnsafeModelError(
        f"{path} holds code that is not Keras' own "
        f"({', '.join(item.text for item in foreign[:3])}). Loading it can run "
        "anything: if you trust who made it, load it with unsafe=True (on the "
        "command line --unsafe)."
    )


@dataclass(frozen=True)
class _ModelFile:
    """What a model file says about itself, before anything of it is run."""

    path: str
    keras_version: str
    model_config: dict[str, Any]
    compile_config: dict[str, Any] | None

    @classmethod
    def read(cls, path: str) -> _ModelFile:
        try:
            check_contained(path)
            reader = _read_keras if zipfile.is_zipfile(path) else _read_h5
            return cls(path, *_checked(*reader(path)))
        except Exception as error:  # As below.
            raise ValueError(
                "A file with a whole model is needed, .keras or .h5. "
                f"Received: {path} ({_reason(error)})."
            ) from error

    @property
    def world(self) -> ModuleType:
        is_keras_3 = self.keras_version.startswith("3")
        return importlib.import_module("keras" if is_keras_3 else "tf_keras")

    def load(self, objects: dict[str, Any], *, compiled: bool, unsafe: bool) -> Any:
        def load_model(**arguments: Any) -> Any:
            return self.world.models.load_model(
                self.path, safe_mode=not unsafe, **arguments
            )

        model = load_model(custom_objects=objects, compile=False)
        if not compiled or not self.compile_config:
            return model
        foreign = foreign_code(self.compile_config, self.world)
        if foreign and not unsafe:
            return model
        try:
            objects = {**objects, **import_objects(foreign)}
            if "optimizer_config" in self.compile_config:
                # Keras 2 has no public way to read what it writes into an .h5.
                return load_model(custom_objects=objects)
            with self.world.saving.custom_object_scope(objects):
                _check_names(self.compile_config, self.world)
                model.compile_from_config(self.compile_config)
            return model
        except Exception:
            # Such as a loss of the user's own, of which the file has only the name.
            return load_model(custom_objects=objects, compile=False)


def _read_keras(path: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    with zipfile.ZipFile(path) as archive:
        version = json.loads(archive.read("metadata.json"))["keras_version"]
        config = json.loads(archive.read("config.json"))
    compile_config = config.pop("compile_config", None)
    return version, config, compile_config


def _read_h5(path: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    with h5py.File(path) as file:
        texts = [
            _text(file.attrs.get(name, ""))
            for name in ("keras_version", "model_config", "training_config")
        ]
    version, model_text, compile_text = texts
    if not version or not model_text:
        raise ValueError("it has weights alone, or none")
    compile_config = json.loads(compile_text) if compile_text else None
    if compile_config and version.startswith("3"):
        # The form that a .keras file has, which `compile_from_config` takes.
        optimizer = compile_config.pop("optimizer_config", None)
        compile_config["optimizer"] = {
            "module": "keras.optimizers",
            "registered_name": None,
            **(optimizer or {}),
        }
    return version, json.loads(model_text), compile_config


def _checked(
    version: Any, model_config: Any, compile_config: Any
) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    if not isinstance(version, str) or not isinstance(model_config, dict):
        raise ValueError("its configuration is none")
    is_dict = isinstance(compile_config, dict)
    return version, model_config, compile_config if is_dict else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _check_names(compile_config: dict[str, Any], world: ModuleType) -> None:
    """Raises a `ValueError` for a loss or metric that Keras would look up in vain."""
    for key, find in (("loss", world.losses.get), ("metrics", world.metrics.get)):
        for name in _strings(compile_config.get(key)):
            if name not in _METRIC_WORDS:
                find(name)


def _strings(item: Any) -> list[str]:
    """The names among losses or metrics; objects of a configuration have none."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, dict) and "class_name" not in item:
        item = list(item.values())
    return sum(map(_strings, item), []) if isinstance(item, list) else []


def _reason(error: Exception) -> str:
    """What Keras means, out of the pages that it says."""
    missing = _MISSING.search(str(error))
    if missing:
        return (
            f"it needs {missing[1]}, which is not Keras' own, and does not name a "
            "module that has it"
        )
    line = str(error).strip().partition("\n")[0]
    return (line or type(error).__name__).rstrip(".")
