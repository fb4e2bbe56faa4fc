"""Access to the variables of Keras 3 on the JAX backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import riders
from keras_prune_kit._keras.variables.keras_3 import Keras3Variables


class JaxVariables(Keras3Variables):
    """Access to variables whose values `fit` keeps elsewhere while it runs.

    A compiled step of JAX sees only what is passed to it: it takes the state of the
    model as arguments and returns the new one, which Keras writes back into the
    variables at the end of an epoch, or when it is asked to. A variable that is no
    argument is a constant to the step, so masks travel with the optimizer's.
    """

    def __init__(self, keras: Any, model: Any = None) -> None:
        super().__init__(keras)
        self._model = model

    def sync(self) -> None:
        super().sync()
        if hasattr(self._model, "jax_state_sync"):
            self._model.jax_state_sync()

    def read(self, variable: Any) -> np.ndarray:
        self.sync()
        # No copy on the CPU. JAX gives no buffer away that an array looks at.
        return np.asarray(variable.value)

    def write(self, variable: Any, value: np.ndarray) -> None:
        self.sync()
        super().write(variable, value)

    def share(self, optimizer: Any, variable: Any) -> None:
        if optimizer is None:
            raise ValueError(
                "On JAX, masks travel in the state of the optimizer, so it must be "
                "known. Received: a model that is not compiled. Compile it, or pass "
                "the optimizer of your loop: optimizer=..."
            )
        # Before, as Keras writes the state back by position.
        self.sync()
        riders.add(optimizer, variable)

    def unshare(self, optimizer: Any, variable: Any) -> None:
        self.sync()
        if optimizer is not None:
            riders.remove(optimizer, variable)
