"""So that Keras finds this package's layers when it loads a model.

Keras loads no class that nobody has imported, and this package imports nothing before
it is asked for. So its layers are imported, which registers them with Keras, as soon
as both packages are: `import keras_prune_kit`, before or after `import keras`, is all
that a process needs to load a model with such layers in it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_LAYERS = ("keras_prune_kit.layers", "keras_prune_kit.quantization.quantize_kernel")


def register_with_keras() -> None:
    """Registers the layers now if Keras is imported, or else right after it is."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Finds Keras where it is, and leaves once that has been imported."""

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._run_afterwards(spec.loader)
        return spec

    def _run_afterwards(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module


def _register() -> None:
    keras: Any = sys.modules["keras"]
    # Another backend need not import TensorFlow for layers that it cannot run.
    if hasattr(keras, "backend") and keras.backend.backend() == "tensorflow":
        for name in _LAYERS:
            importlib.import_module(name)
