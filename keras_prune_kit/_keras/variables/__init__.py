"""Access to the variables of either world, on each backend of Keras 3."""

from __future__ import annotations

import sys
from typing import Any

from keras_prune_kit._keras.models import backend_of, world
from keras_prune_kit._keras.variables.access import NotFiniteError, Variables
from keras_prune_kit._keras.variables.jax import JaxVariables
from keras_prune_kit._keras.variables.keras_2 import Keras2Variables
from keras_prune_kit._keras.variables.keras_3 import Keras3Variables
from keras_prune_kit._keras.variables.state import state_of

__all__ = [
    "Keras3Variables",
    "NotFiniteError",
    "Variables",
    "state_of",
    "variables_of",
]


def variables_of(model: Any) -> Variables:
    """Return the access to the variables of a model."""
    keras = world(model)
    if keras.__name__ == "tf_keras":
        return Keras2Variables(keras, sys.modules["tensorflow"])
    if backend_of(model) == "jax":
        return JaxVariables(keras, model)
    return Keras3Variables(keras)
