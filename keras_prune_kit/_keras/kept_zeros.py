"""Keeping the zeros of a whole model."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import KeepZeros, keep_zeros, variables_of
from keras_prune_kit._keras.weights import PrunableWeight, find_weights


def keep_zeros_of(model: Any) -> None:
    """Constrains each weight that can be pruned to the zeros that it has.

    Args:
        model: A built Keras model. Weights that keep their zeros already stay as they
            are, and so do those without a zero.
    """
    variables = variables_of(model)
    for found in find_weights(model):
        if not isinstance(found, PrunableWeight):
            continue
        is_kept = isinstance(variables.constraint(found.variable), KeepZeros)
        if not is_kept and not np.all(variables.read(found.variable)):
            keep_zeros(variables, found.variable)
