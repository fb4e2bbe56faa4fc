"""The masks of a model, and the train function that is compiled with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.pruner.masked_weight import MaskedWeight


class MaskedTraining:
    """Masks on the weights of a model, in a train function that applies them.

    Args:
        model: The model.
        weights: All weights that have a mask.
    """

    def __init__(self, model: Any, weights: Sequence[MaskedWeight]) -> None:
        self._model = model
        self._weights = weights
        self._plain: Any = None
        self._masked: Any = None
        self._is_entered = False

    def enter(self, optimizer: Any) -> None:
        """Attach the masks.

        Args:
            optimizer: The optimizer that trains the weights, or `None` if unknown.
        """
        kept = _keras.kept_function(self._model, self._held())
        masks = (None,) * len(self._weights) if kept is None else kept.masks
        self._is_entered = True
        for weight, mask in zip(self._weights, masks, strict=True):
            weight.attach(optimizer, mask)
        self._plain = getattr(self._model, "train_function", None)
        if kept is None:
            # The function that was compiled before does not apply the constraints.
            _keras.retrace(self._model)
        else:
            self._model.train_function = kept.function
        self._masked = getattr(self._model, "train_function", None)

    def leave(self) -> None:
        """Take the masks off; the values stay as they are."""
        masks = tuple(weight.mask for weight in self._weights)
        for weight in self._weights:
            weight.detach()
        if not self._is_entered:
            return
        self._is_entered = False
        now = getattr(self._model, "train_function", None)
        plain, masked, self._plain, self._masked = self._plain, self._masked, None, None
        is_whole = all(mask is not None for mask in masks)  # No error in `enter`.
        if plain is not None and now is masked and is_whole:
            _keras.keep_function(
                plain, _keras.MaskedFunction(masked, self._held(), masks)
            )
            self._model.train_function = plain
        else:  # Someone else has set another one meanwhile.
            _keras.retrace(self._model)

    def _held(self) -> tuple[tuple[Any, Any], ...]:
        """Return each weight with the constraint that it has beside the mask."""
        return tuple((w.variable, w.own_constraint()) for w in self._weights)
