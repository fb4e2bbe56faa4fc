"""Registration of this package's layers with Keras, for loading saved models.

Keras can only load classes that were imported, and this package imports lazily. Its
layers are therefore imported, and so registered, as soon as both packages are: to load
a model with such layers, a process only needs `import keras_prune_kit`, before or after
`import keras`.

Nothing plainer than an import hook does so. Keras refuses to import a module of another
package by the name that stands in a file, as a file may come from anybody. To import
Keras here would make `import keras_prune_kit` take seconds, and fix the backend before
the user has chosen one.
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
    """Register the layers now if Keras is imported, else right after its import."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Import hook that registers the layers after the import of Keras, once."""

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
    # Other backends cannot run these layers and must not import TensorFlow for them.
    if hasattr(keras, "backend") and keras.backend.backend() == "tensorflow":
        for name in _LAYERS:
            importlib.import_module(name)
