"""Verification that a copied model computes the same as the original."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.copying.parts import CopyError, parts_of
from keras_prune_kit._keras.copying.state import is_same_array
from keras_prune_kit._keras.models import backend_of


def check_copy(model: Any, copied: Any, x: Any) -> None:
    """Raise a `CopyError` unless a copy predicts the same, with weights of its own.

    Stateful models are skipped, because predicting would change their state. Outputs
    are not compared if the model itself predicts randomly.

    Args:
        model: A built model.
        copied: Its copy.
        x: Some input samples.

    Raises:
        CopyError: If its outputs differ, or it uses a variable of the model.
    """
    if any(_is_stateful(part) for part in parts_of(model)):
        return
    first, second, got = (part.predict_on_batch(x) for part in (model, model, copied))
    if _are_equal(first, second) and not _are_equal(first, got):
        raise CopyError(
            f"A copy of model '{model.name}' computes something else than the model: "
            "one of its layers has state that neither its get_config() nor its "
            "save_own_variables() includes. Add it there, or prune the model itself "
            "with PruningCallback."
        )
    _check_not_tied(model, copied, x)


def _are_equal(first: Any, second: Any) -> bool:
    a, b = _flat(first), _flat(second)
    return len(a) == len(b) and all(map(is_same_array, a, b))


def _flat(nest: Any) -> list[np.ndarray]:
    if isinstance(nest, dict):
        # By key, as the order of a dict says nothing.
        nest = [nest[key] for key in sorted(nest)]
    if isinstance(nest, list | tuple):
        return [array for item in nest for array in _flat(item)]
    return [np.asarray(nest)]


def _is_stateful(layer: Any) -> bool:
    return bool(getattr(layer, "stateful", False)) and hasattr(layer, "reset_states")


def _check_not_tied(model: Any, copied: Any, x: Any) -> None:
    """Raise a `CopyError` if a copy uses a weight of the model, as closures do."""
    tf = sys.modules.get("tensorflow")
    if tf is None or backend_of(model) != "tensorflow":
        return
    with tf.GradientTape() as tape:
        copied(x, training=False)
    # By identity: variables of TensorFlow compare value by value and have no hash.
    own = {id(_tf_variable(weight)): weight for weight in model.weights}
    shared = [own[id(v)] for v in tape.watched_variables() if id(v) in own]
    if shared:
        raise CopyError(
            f"A copy of model '{model.name}' would compute with a weight of the model "
            f"itself ({shared[0].name} of shape {tuple(shared[0].shape)}): a function "
            "in it, such as that of a Lambda, uses a layer defined outside of it. Pass "
            "the layer as an argument of a layer class with get_config(), or prune the "
            "model itself with PruningCallback."
        )


def _tf_variable(weight: Any) -> Any:
    """Return the TensorFlow variable inside a Keras 3 or an autocast variable."""
    return getattr(weight, "_value", getattr(weight, "_variable", weight))
