"""Constraints that keep the existing zeros of a whole model."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.projections import MaskProjection, ProjectionConstraint
from keras_prune_kit._keras.variables import Variables, variables_of
from keras_prune_kit._keras.weights import PrunableWeight, find_weights


class KeptZeros(MaskProjection):
    """A mask that belongs to the model, which pruners neither take off nor change."""


def keep_zeros(variables: Variables, variable: Any) -> KeptZeros:
    """Constrain a weight to the zeros that it has.

    A weight of nothing but zeros was initialized so, and may become anything.

    Args:
        variables: Handles variables of the model's world.
        variable: A weight, which keeps the constraint that it has.

    Returns:
        The projection; its mask may be written to when there are new zeros to keep.
    """
    kernel = variables.read(variable)
    mask = variables.make_mask(kernel.shape)
    variables.write(mask, kernel != 0 if np.any(kernel) else np.ones_like(kernel, bool))
    kept = KeptZeros(variables, mask)
    constraint = ProjectionConstraint(kept, variables.constraint(variable))
    # On the variable, not on the layer, whose config would save it with the model.
    variables.constrain(variable, constraint)
    return kept


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
        projection = getattr(variables.constraint(found.variable), "projection", None)
        if isinstance(projection, KeptZeros) or np.all(variables.read(found.variable)):
            continue
        keep_zeros(variables, found.variable)
