"""The variables of a training."""

from __future__ import annotations

from typing import Any

from keras_prune_kit._keras.models import trained_model, variables_among
from keras_prune_kit._keras.variables.riders import riders_of


def state_of(model: Any) -> list[Any]:
    """Return all variables of training: weights and optimizer variables."""
    optimizer = getattr(model, "optimizer", None)
    kept: Any = getattr(optimizer, "variables", [])
    if not isinstance(kept, list):  # A method in legacy optimizers of Keras 2.
        kept = kept()
    riders = {id(variable) for variable in riders_of(optimizer)}
    own = [variable for variable in kept if id(variable) not in riders]
    return [*variables_among(trained_model(model).weights), *own]
