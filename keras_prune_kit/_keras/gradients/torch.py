"""Gradients on torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras


def make_gradients(model: Any, variables: list[Any]) -> Callable[..., list[Any]]:
    """Return a function of a batch `(x, y)` that returns the gradients of the loss.

    Args:
        model: A compiled model.
        variables: The variables to differentiate with respect to.
    """
    torch = sys.modules["torch"]  # The backend has imported it.

    def gradients(x: Any, y: Any) -> list[Any]:
        x = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
        y = keras.tree.map_structure(keras.ops.convert_to_tensor, y)
        values = [v.value for v in variables]
        trained = [value for value in values if value.requires_grad]
        # Dropout would make the ranking random.
        predicted = model(x, training=False)
        loss = model.compute_loss(x=x, y=y, y_pred=predicted)
        # The default for a weight that the loss does not depend on is `None`.
        found = torch.autograd.grad(loss, trained, materialize_grads=True)
        by_value = {id(v): g for v, g in zip(trained, found, strict=True)}
        return [by_value.get(id(v), torch.zeros_like(v)) for v in values]

    return gradients
