"""Gradients on JAX."""

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
    jax = sys.modules["jax"]  # The backend has imported it.
    chosen = {id(variable) for variable in variables}

    def loss_of(values: list[Any], rest: list[Any], x: Any, y: Any) -> Any:
        state = [
            *zip(variables, values, strict=True),
            *zip(others(), rest, strict=True),
        ]
        with keras.StatelessScope(state_mapping=list(state)):
            # Dropout would make the ranking random.
            predicted = model(x, training=False)
            return model.compute_loss(x=x, y=y, y_pred=predicted)

    def others() -> list[Any]:
        # Metrics, too, as they get variables when they first see data.
        return [v for v in model.variables if id(v) not in chosen]

    differentiated = jax.jit(jax.grad(loss_of))

    def gradients(x: Any, y: Any) -> list[Any]:
        # All values are arguments: what is not would be a constant of the first call.
        values = [v.value for v in variables]
        return differentiated(values, [v.value for v in others()], x, y)

    return gradients
