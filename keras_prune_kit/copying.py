"""A copy of a model that keeps all of its state."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras


def copy_model(model: Any) -> Any:
    """Return a copy of a model with all state, such as adapted statistics and seeds.

    Use it to keep the dense model while the copy is pruned in `fit`; the functions of
    this package that return a model copy by themselves. `clone_model` and `set_weights`
    look like a copy and are none: what `adapt` found stays behind.

    Args:
        model: A built model of Keras 3 or `tf_keras`. It is not changed.

    Returns:
        A model of the same class that computes the same to the bit, with variables of
        its own. It is compiled if the model is, with a new optimizer of the same
        settings. Functions in layers, such as that of a `Lambda`, are shared.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it is not built, or Keras cannot copy a layer or the optimizer.

    Example:

    ```python
    pruned = kpk.copy_model(model)
    pruned.fit(x, y, epochs=5, callbacks=[kpk.PruningCallback(0.8)])
    print(kpk.compare({"dense": model, "pruned": pruned}, x, y))
    ```
    """
    _keras.world(model)
    _keras.check_built(model)
    copied = _keras.copy_model(model)
    _keras.compile_like(model, copied)
    return copied
