"""Safe loading of model files with the Keras that wrote them."""

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
from keras_prune_kit._keras.trust import (
    ForeignCode,
    dicts,
    foreign_code,
    import_objects,
)
from keras_prune_kit._tools.checks import as_path
from keras_prune_kit._tools.spelling import did_you_mean_file

# Shortcuts that `compile` accepts in addition to the names of metrics.
_METRIC_WORDS = {"accuracy", "acc", "crossentropy", "ce"}
_OF_BACKEND = re.compile(r"keras\.src\.backend\.\w+\.optimizers\b")
# Keras' messages for an unknown class.
_MISSING = re.compile(r"(?:Unknown \w+: |locate \w+ |object of type )['`](\w+)['`]")


class UnsafeModelError(ValueError):
    """A model file contains code that would run when it is loaded."""


def load(
    path: str | os.PathLike[str], *, compiled: bool = False, unsafe: bool = False
) -> Any:
    """Load a model file with the Keras that wrote it.

    Args:
        path: A `.keras` or `.h5` file.
        compiled: If True, compile the model as it was, with a new optimizer. It stays
            uncompiled if the file does not say how, or if that needs code that is not
            from Keras. Defaults to `False`.
        unsafe: If True, code in the file may run: Lambda layers and classes of the
            modules that it names. Defaults to `False`.

    Raises:
        OSError: If the file does not exist.
        UnsafeModelError: If the model needs code that is not from Keras.
        ValueError: If the file is not a model file or cannot be loaded.
    """
    path = os.fspath(as_path("path", path))
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no such file: {path}.{did_you_mean_file(path)}"
        )
    file = _ModelFile.read(path)
    foreign = foreign_code(file.model_config, file.world)
    if foreign and not unsafe:
        raise _unsafe(path, foreign)
    # A damaged file can raise any error, from whichever decoder reads it.
    try:
        # Nothing is imported from a file that is not trusted: `foreign` is empty then.
        return file.load(import_objects(foreign), compiled=compiled, unsafe=unsafe)
    except Exception as error:
        raise ValueError(f"{path} cannot be loaded: {_reason(error)}.") from error


def opened(model: Any, *, compiled: bool = False) -> Any:
    """Return the model itself, or load it if a path is given.

    Args:
        model: A Keras model, or the path of a `.keras` or `.h5` file.
        compiled: As in `load`. Defaults to `False`.

    Raises:
        OSError, UnsafeModelError, ValueError: As in `load`.
    """
    is_path = isinstance(model, str | os.PathLike)
    return load(model, compiled=compiled) if is_path else model


def check_safe(path: str, trusted: Collection[str] = ()) -> None:
    """Raise an error if a model file is unsafe to load, without loading it.

    Args:
        path: A `.keras` or `.h5` file.
        trusted: Packages whose classes may be loaded in addition to those of Keras.
            Defaults to none.

    Raises:
        UnsafeModelError: If the model needs code that is not from Keras or `trusted`.
        ValueError: If the file is not a model file.
    """
    file = _ModelFile.read(path)
    configs = [file.model_config, file.compile_config]
    foreign = foreign_code(configs, file.world, frozenset(trusted))
    if foreign:
        raise _unsafe(path, foreign)


def configs_of(path: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the configurations of the model and of its compilation in a file.

    Raises:
        ValueError: If the file is not a model file.
    """
    file = _ModelFile.read(path)
    return file.model_config, file.compile_config


def _unsafe(path: str, foreign: list[ForeignCode]) -> UnsafeModelError:
    return UnsafeModelError(
        f"{path} holds code that is not from Keras "
        f"({', '.join(item.text for item in foreign[:3])}). Loading the file can run "
        "arbitrary code: if you trust its author, load it with unsafe=True (on the "
        "command line --unsafe)."
    )


@dataclass(frozen=True)
class _ModelFile:
    """The version and configurations in a model file, read without running its code."""

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
        except Exception as error:  # A damaged file can raise any error.
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
                # Keras 2 has no public function for the training config of an .h5.
                return load_model(custom_objects=objects)
            with self.world.saving.custom_object_scope(objects):
                _check_names(self.compile_config, self.world)
                model.compile_from_config(self.compile_config)
            return model
        except Exception:
            # For example a user's own loss, of which the file stores only the name.
            return load_model(custom_objects=objects, compile=False)


def _read_keras(path: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    with zipfile.ZipFile(path) as archive:
        version = json.loads(archive.read("metadata.json"))["keras_version"]
        config = json.loads(archive.read("config.json"))
    compile_config = config.pop("compile_config", None)
    _name_optimizers_publicly(compile_config)
    return version, config, compile_config


def _name_optimizers_publicly(compile_config: Any) -> None:
    """Name the optimizers of the torch backend as those of all backends.

    A file from that backend names its subclasses, such as `torch_adam.Adam`.
    """
    for node in dicts(compile_config):
        if _OF_BACKEND.match(str(node.get("module"))):
            node["module"] = "keras.optimizers"


def _read_h5(path: str) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    with h5py.File(path) as file:
        texts = [
            _text(file.attrs.get(name, ""))
            for name in ("keras_version", "model_config", "training_config")
        ]
    version, model_text, compile_text = texts
    if not version or not model_text:
        raise ValueError(
            "it contains only weights, or no model at all; model.save(...) writes all"
        )
    compile_config = json.loads(compile_text) if compile_text else None
    if compile_config and version.startswith("3"):
        # Convert to the format of a .keras file, as `compile_from_config` needs it.
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
        raise ValueError("its configuration is not valid")
    is_dict = isinstance(compile_config, dict)
    return version, model_config, compile_config if is_dict else None


def _text(value: Any) -> str:
    # h5py returns texts of fixed length as bytes and others as `str`.
    return value.decode() if isinstance(value, bytes) else value


def _check_names(compile_config: dict[str, Any], world: ModuleType) -> None:
    """Raise a `ValueError` if Keras does not know the name of a loss or metric."""
    for key, find in (("loss", world.losses.get), ("metrics", world.metrics.get)):
        for name in _strings(compile_config.get(key)):
            # `compile` accepts any name; the first `fit` would fail on an unknown one.
            if name not in _METRIC_WORDS:
                find(name)


def _strings(item: Any) -> list[str]:
    """Return the names in a nest of losses or metrics, without serialized objects."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, dict) and "class_name" not in item:
        item = list(item.values())
    return sum(map(_strings, item), []) if isinstance(item, list) else []


def _reason(error: Exception) -> str:
    """Return the cause of an error in one line; messages of Keras span many lines."""
    missing = _MISSING.search(str(error))
    if missing:
        return (
            f"it needs {missing[1]}, which is not part of Keras, and does not name the "
            "module that defines it"
        )
    line = str(error).strip().partition("\n")[0]
    return (line or type(error).__name__).rstrip(".")
