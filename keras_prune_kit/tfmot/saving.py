"""Loading of models that were saved with TFMOT's wrappers."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_path, check_flag, using
from keras_prune_kit.tfmot._import import tf_keras, tfmot
from keras_prune_kit.tfmot._schedules import cosine_decay
from keras_prune_kit.tfmot._wrapper import wrapper_class
from keras_prune_kit.tfmot.prunable_dense import prunable_dense

_TRUSTED = ("keras_prune_kit", "tensorflow_model_optimization")


def load(path: str | os.PathLike[str], *, unsafe: bool = False) -> Any:
    """Load a wrapped, clustered or quantization-aware model, ready for more training.

    Optimizer and pruning continue from the step at which `model.save(path)` was called.

    Args:
        path: A `.keras` or `.h5` file, or a SavedModel folder. A SavedModel is a
            program: load one only from a source that you trust.
        unsafe: If True, code from the file may run: a Lambda layer, or classes that
            belong neither to Keras nor to TFMOT. Defaults to `False`.

    Returns:
        A `tf_keras` model, compiled if the saved one was.

    Raises:
        OSError: If the file does not exist.
        ValueError: If it cannot be loaded, or contains other code and `unsafe` is
            False.

    Example:

    ```python
    wrapped = kpk.tfmot.load("wrapped.keras")
    wrapped.fit(x, y, initial_epoch=3, epochs=5, callbacks=kpk.tfmot.callbacks())
    ```
    """
    path = os.fspath(as_path("path", path))
    check_flag("unsafe", unsafe)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no such file: {path}.")
    # A SavedModel folder is a program as a whole: there is nothing to check.
    if os.path.isfile(path) and not unsafe:
        _keras.check_safe(path, _TRUSTED)
    ours = {
        "PruneLowMagnitude": wrapper_class(),
        "CosineDecay": cosine_decay(),
        "PrunableDense": prunable_dense(),
    }
    with contextlib.ExitStack() as scopes:
        scopes.enter_context(tfmot().clustering.keras.cluster_scope())
        scopes.enter_context(tfmot().quantization.keras.quantize_scope())
        scopes.enter_context(tf_keras().utils.custom_object_scope(ours))
        scopes.enter_context(using(f"path {path}"))
        return tf_keras().models.load_model(path, safe_mode=not unsafe)
