"""Detection of code in a model file that is not from Keras."""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from types import ModuleType
from typing import Any

# Packages whose classes Keras loads even in safe mode.
_TRUSTED = {"keras", "tf_keras", "keras_hub", "keras_cv", "keras_nlp"}
_CODE = {
    "Lambda": "a Lambda layer",
    "__lambda__": "a Lambda layer",
    "TFSMLayer": "a TFSMLayer",
    "TorchModuleWrapper": "a TorchModuleWrapper",
}
# TensorFlow operations (`TFOpLambda`) that access more than their input tensors.
_REACHES_OUT = re.compile(
    r"\b(io|raw_ops|data|summary|saved_model|(read|write|matching)_files?"
    r"|(py|numpy|eager_py)_func(tion)?)\b"
)
# Functions of Keras that are not parts of models, such as `keras.utils.get_file`.
_NO_MODELING = re.compile(r"\.(utils|saving|export|config)\b")


@dataclass(frozen=True)
class ForeignCode:
    """A part of a model that is not from Keras, and the location of its code.

    Attributes:
        text: A description for messages.
        name: The name of the class or function.
        registered_name: The name under which Keras registered it.
        module: The module that defines it.
    """

    text: str
    name: str = ""
    registered_name: str = ""
    module: str = ""


def foreign_code(
    config: Any, world: ModuleType, trusted: frozenset[str] = frozenset()
) -> list[ForeignCode]:
    """Return the parts of a configuration that would run code that is not from Keras.

    Keras' own safe mode is not enough: it blocks only Lambda layers, in Keras 2 not
    even those in an .h5, and Keras 2 imports any module that a `.keras` file names.

    Args:
        config: The configuration of a model or of its compilation, from JSON.
        world: `keras` or `tf_keras`. Objects registered with it in this process are
            trusted.
        trusted: More packages whose code may run. Defaults to none.
    """
    registered = world.saving.get_registered_object
    found = (_foreign(node, registered, _TRUSTED | trusted) for node in dicts(config))
    return list(dict.fromkeys(filter(None, found)))


def import_objects(found: list[ForeignCode]) -> dict[str, Any]:
    """Import the modules that a model file names and return `custom_objects`.

    Raises:
        ValueError: If a module cannot be imported.
    """
    objects = {}
    for item in found:
        if item.module in ("", "builtins", "__main__"):
            continue
        try:
            module = importlib.import_module(item.module)
        except ImportError as error:
            raise ValueError(f"it needs {item.text}: {error}") from error
        if hasattr(module, item.name):
            custom = getattr(module, item.name)
            objects |= {item.name: custom, item.registered_name or item.name: custom}
    return objects


def dicts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield all dicts of a nest, including those inside other dicts."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _foreign(
    node: dict[str, Any], registered: Callable[[str], Any], trusted: Set[str]
) -> ForeignCode | None:
    kind = node.get("class_name")
    if not isinstance(kind, str):
        return None
    if kind in _CODE:
        return ForeignCode(_CODE[kind])
    if kind == "TFOpLambda":
        operation = str(_config_of(node).get("function"))
        found = _REACHES_OUT.search(operation)
        return ForeignCode(f"the operation {operation}") if found else None
    registered_name = str(node.get("registered_name") or "")
    if "module" not in node or (registered_name and registered(registered_name)):
        # Without a module Keras searches only its own and registered classes.
        return None
    module, is_function = str(node["module"] or ""), kind == "function"
    name = str(node.get("config")) if is_function else kind
    if _is_trusted(module, name, is_function, trusted):
        return None
    text = f"the {'function' if is_function else 'class'} {name}"
    text += f" of module {module}" if module else ""
    return ForeignCode(text, name, registered_name, module)


def _config_of(node: dict[str, Any]) -> dict[str, Any]:
    config = node.get("config")
    return config if isinstance(config, dict) else {}


def _is_trusted(module: str, name: str, is_function: bool, trusted: Set[str]) -> bool:
    if module == "builtins":
        # Keras serializes its own functions with this module; a name that Python itself
        # has, such as `exec`, is never one of those.
        return is_function and not hasattr(builtins, name)
    is_keras = module.partition(".")[0] in trusted and name.isidentifier()
    return is_keras and not (is_function and _NO_MODELING.search(module))
