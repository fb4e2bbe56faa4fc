"""Constraints that keep the existing zeros of a whole model."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import KeepZeros, keep_zeros, variables_of
from keras_prune_kit._keras.weights import PrunableWeight, find_weights


def keep_zeros_of(model: Any) -> None:
    """Constrain each prunable weight so that its current zeros stay zero.

    Args:
        model: A built Keras model. Weights that already have such a constraint, or
            have no zeros, are left alone.
    """
    variables = variables_of(model)
    for found in find_weights(model):
        if not isinstance(found, PrunableWeight):
            continue
        is_kept = isinstance(variables.constraint(found.variable), KeepZeros)
        if not is_kept and not np.all(variables.read(found.variable)):
            keep_zeros(variables, found.variable)
