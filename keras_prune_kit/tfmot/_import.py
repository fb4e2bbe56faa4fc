"""The only module that imports tensorflow-model-optimization ("TFMOT").

That import sets `TF_USE_LEGACY_KERAS=1` for the whole process, so that a `tf.keras`
first accessed afterwards silently becomes Keras 2. Here TFMOT finds `tf_keras` where it
looks for Keras, and the variable and TensorFlow's attributes are restored afterwards.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

_TFMOT = "tensorflow_model_optimization"
_LEGACY = "TF_USE_LEGACY_KERAS"


def tfmot(submodule: str = "") -> Any:
    """Import TFMOT or one of its modules without side effects on `tf.keras`.

    Args:
        submodule: A dotted name below `tensorflow_model_optimization`. Defaults to
            `""`, the package.
    """
    if _TFMOT not in sys.modules:
        import tensorflow as tf

        with _variable_kept(_LEGACY), _keras_2_in(tf):
            importlib.import_module(_TFMOT)
    name = f"{_TFMOT}.{submodule}" if submodule else _TFMOT
    return importlib.import_module(name)


def core(module: str) -> Any:
    """Import a private module of TFMOT."""
    return tfmot(f"python.core.{module}")


def tf_keras() -> Any:
    """Import `tf_keras`, the Keras that TFMOT works with."""
    return importlib.import_module("tf_keras")


@contextlib.contextmanager
def _variable_kept(name: str) -> Iterator[None]:
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _keras_2_in(tf: Any) -> Iterator[None]:
    """Put Keras 2 where TFMOT looks, and restore TensorFlow's lazy loaders after."""
    # TFMOT looks up RNN cells in `compat` too while it is imported.
    places = (
        (tf, "tf_keras"),
        (tf.compat.v1, "tf_keras.api._v1.keras"),
        (tf.compat.v2, "tf_keras.api._v2.keras"),
    )
    before = [vars(module).get("keras") for module, _ in places]
    try:
        for module, name in places:
            module.keras = importlib.import_module(name)
        yield
    finally:
        for (module, _), loader in zip(places, before, strict=True):
            if loader is None:
                del module.keras
            else:
                module.keras = loader
