"""Removal: the model without some of its channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Fold
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.channels.tracing import is_followed


def without(found: Trace, stays: np.ndarray, folds: Iterable[Fold] = ()) -> Any:
    """Return a plain model of the same class in which only some channels stay.

    Args:
        found: The trace of the model.
        stays: For each channel id, True if it stays.
        folds: Contributions to add to biases. Defaults to none.

    Returns:
        A model with weights of its own, compiled alike if the model is. Names,
        trainability, dtype policies, regularizers and constraints are the same.

    Raises:
        CopyError: If Keras cannot copy a layer, or one uses a weight of another.
    """
    builder = _Builder(found, stays, {id(fold.layer): fold for fold in folds})
    model = builder.build(found.model)
    builder.copy_weights()
    if len(model.weights) != builder.count_weights():
        raise _keras.CopyError(
            f"A layer of model '{found.model.name}' uses a weight of another one. Both "
            "would get a weight of their own. Share the layer instead: one object that "
            "is called twice."
        )
    if _keras.is_compiled(found.model):
        _keras.compile_like(found.model, model)
    return model


class _Builder:
    """Builds models of cut layers; a shared layer is made once."""

    def __init__(
        self, found: Trace, stays: np.ndarray, folds: Mapping[int, Fold]
    ) -> None:
        self._trace = found
        self._stays = stays
        self._folds = folds
        self._made: dict[int, Any] = {}
        self._models: list[tuple[Any, Any]] = []
        self._copies: list[tuple[Any, Any]] = []

    def build(self, model: Any) -> Any:
        """Return a model of cut layers, without the weights."""
        flows = self._trace.nested_inputs.get(id(model))
        sizes = None
        if flows is not None:
            sizes = [None if f.ids is None else self._count(f.ids) for f in flows]
        copied = _keras.clone_with(model, self._make, sizes)
        self._models.append((model, copied))
        return copied

    def copy_weights(self) -> None:
        """Copy the state of all layers, cut where channels have left."""
        # The setter reaches all that is inside, which has its own value after it.
        for old, new in reversed(self._models):
            new.trainable = old.trainable
        for old, new in self._copies:
            _keras.copy_state(old, new, self._cut)
            fold = self._folds.get(id(old))
            if fold is not None:
                bias = 0.0 if old.bias is None else _keras.as_array(new.bias)
                new.bias.assign(bias + fold.addition[self._stays[fold.ids]])

    def count_weights(self) -> int:
        """Return the number of weights that the new model must have."""
        new_biases = sum(fold.layer.bias is None for fold in self._folds.values())
        return len(self._trace.model.weights) + new_biases

    def _make(self, layer: Any) -> Any:
        if id(layer) not in self._made:
            if is_followed(layer):
                self._made[id(layer)] = self.build(layer)
            else:
                made = _keras.copy_layer(layer, self._changes(layer))
                self._made[id(layer)] = made
                if hasattr(layer, "weights"):
                    self._copies.append((layer, made))
        return self._made[id(layer)]

    def _changes(self, layer: Any) -> dict[str, Any]:
        """Return the new entries of the configuration of a layer."""
        entries = self._trace.resized.get(id(layer), {})
        changes = {key: self._new_value(value) for key, value in entries.items()}
        if id(layer) in self._folds and layer.bias is None:
            changes["use_bias"] = True
        return changes

    def _new_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._new_value(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(self._new_value(inner) for inner in value)
        if isinstance(value, np.ndarray):
            return self._count(value)
        return value(self._count) if callable(value) else value

    def _count(self, ids: np.ndarray) -> int:
        return int(self._stays[ids].sum())

    def _cut(self, variable: Any) -> np.ndarray | None:
        """Return the part of a weight that stays; `None` if it has no channels."""
        cut = self._trace.cuts.get(id(variable))
        if cut is None:
            return None
        value = _keras.as_array(variable)
        for axis, ids in enumerate(cut.axes):
            if ids is not None:
                value = np.compress(self._stays[ids], value, axis)
        if cut.scaled_by is not None:
            # Attention will divide by the root of the new size of a head.
            share = self._count(cut.scaled_by) / len(cut.scaled_by)
            value = value * np.sqrt(share).astype(value.dtype)
        return value
