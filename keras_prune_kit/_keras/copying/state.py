"""Transfer of the variables and assets of a layer or model to its copy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit._keras.copying.parts import (
    CopyError,
    advice_on,
    is_keras_2,
    parts_of,
)
from keras_prune_kit._keras.models import first_line

# The new value of a variable, or `None` to copy it as it is.
Change = Callable[[Any], np.ndarray | None]


def copy_state(old: Any, new: Any, change: Change | None = None) -> None:
    """Copy the variables and assets of a layer or model to its copy.

    Args:
        old: A built layer or model.
        new: Its built copy.
        change: Returns the new value of a variable, of the shape in the copy, or `None`
            to copy it as it is. Defaults to `None`: all are copied.

    Raises:
        CopyError: If the copy has different layers or weights.
    """
    # Not strict: different numbers of layers have a better message below.
    pairs = list(zip(parts_of(old), parts_of(new), strict=False))
    for source, target in pairs:
        try:
            _copy_own_state(source, target, change)
        except Exception as error:  # A custom layer can raise any error.
            raise CopyError(
                f"Keras cannot copy the state of layer '{source.name}' of class "
                f"{type(source).__name__}: {first_line(error)}. "
                f"{advice_on(source)}"
            ) from error
    if change is None:
        _check_weights(old, new)


def _copy_own_state(source: Any, target: Any, change: Change | None) -> None:
    """Copy the state of one layer, without that of its inner layers."""
    if type(source) is not type(target):
        raise ValueError(f"the copy has a layer of class {type(target).__name__} there")
    if target.name != source.name:  # Inner layers get new numbers.
        # Keras 2's `name` is a property without a setter.
        setattr(target, "_name" if is_keras_2(target) else "name", source.name)
    # The setter reaches all layers inside; these follow, and get their own value.
    if target.trainable != source.trainable:
        target.trainable = source.trainable
    changed = [None if change is None else change(v) for v in source.weights]
    if any(value is not None for value in changed):
        # Not strict: a copy may have got a bias, which is its last weight.
        for value, old, new in zip(
            changed, source.weights, target.weights, strict=False
        ):
            new.assign(as_array(old) if value is None else value)
    else:
        _copy_variables(source, target)
    if hasattr(source, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            source.save_assets(folder)
            if any(Path(folder).iterdir()):
                target.load_assets(folder)
    # A seed generator is no part of its layer's own variables.
    for old, new in zip(_seeds(source), _seeds(target), strict=True):
        new.state.assign(old.state)


def _copy_variables(source: Any, target: Any) -> None:
    store: dict[str, Any] = {}
    source.save_own_variables(store)
    if store:
        target.load_own_variables(_Store(store))


class _Store(dict):
    """A store for `load_own_variables` that returns arrays, as one of a file does."""

    def __getitem__(self, key: str) -> Any:
        return as_array(super().__getitem__(key))


def _seeds(layer: Any) -> list[Any]:
    """Return the seed generators of a Keras 3 layer."""
    return list(getattr(layer, "_seed_generators", ()))


def _check_weights(old: Any, new: Any) -> None:
    wanted, got = (
        # Keras 2 lists lookup tables among the weights; they have no value to compare.
        [as_array(weight) for weight in part.weights if hasattr(weight, "numpy")]
        for part in (old, new)
    )
    if len(wanted) == len(got) and all(map(is_same_array, wanted, got)):
        return
    raise CopyError(
        f"The weights of a copy of '{old.name}' differ: {len(got)} of shapes "
        f"{[w.shape for w in got][:8]} instead of {len(wanted)} of shapes "
        f"{[w.shape for w in wanted][:8]}. A layer that uses a weight of another one "
        "(a tied embedding) or creates layers outside of its constructor and build() "
        "cannot be copied: prune the model itself with PruningCallback."
    )


def as_array(value: Any) -> np.ndarray:
    """Return the value of a variable, or an array as it is."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def is_same_array(a: np.ndarray, b: np.ndarray) -> bool:
    """Return True if two arrays are bit-identical, including NaN."""
    return a.shape == b.shape and a.tobytes() == b.tobytes()
