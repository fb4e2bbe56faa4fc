"""Projections that a weight is held to, and the constraint that applies one.

Every Keras optimizer applies a variable's constraint right after each update, inside
the compiled train step.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import Variables


class Projection(abc.ABC):
    """A function that brings a weight back to what holds for it.

    Args:
        variables: Handles variables of the model's world.

    Attributes:
        state: The variable that it reads.
        comes_first: If True, a constraint of the user's own sees the projected value,
            and the projection is applied once more to what that returns.
    """

    comes_first = False
    state: Any

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    @abc.abstractmethod
    def __call__(self, value: Any) -> Any:
        """Return the projected value as a tensor.

        Args:
            value: A variable or tensor.
        """


class MaskProjection(Projection):
    """Zeroes the values that a mask leaves out.

    Args:
        variables: Handles variables of the model's world.
        mask: Boolean variable of the weight's shape.
    """

    comes_first = True

    def __init__(self, variables: Variables, mask: Any) -> None:
        super().__init__(variables)
        self.state = mask

    def __call__(self, value: Any) -> Any:
        return self.variables.masked(self.state, value)


class ClusterProjection(Projection):
    """Replaces the members of each cluster by their mean.

    Args:
        variables: Handles variables of the model's world.
        index: Variable of the weight's shape: the cluster of each value.
        counts: The number of members of each cluster; one with none becomes zero.
    """

    def __init__(self, variables: Variables, index: Any, counts: np.ndarray) -> None:
        super().__init__(variables)
        self.state = index
        self.counts = counts

    def __call__(self, value: Any) -> Any:
        return self.variables.clustered(self.state, self.counts, value)


# No subclass of `keras.constraints.Constraint`, as it serves both worlds.
class ProjectionConstraint:
    """Applies the constraint that was there before, then a projection.

    Args:
        projection: The projection.
        inner: The constraint that was there, or `None`.
    """

    def __init__(self, projection: Projection, inner: Any = None) -> None:
        self.projection = projection
        self.inner = inner

    def __call__(self, value: Any) -> Any:
        if self.inner is None:
            return self.projection(value)
        if self.projection.comes_first:
            value = self.projection(value)
        return self.projection(self.inner(value))


def without(constraint: Any, kind: type[Projection]) -> Any:
    """Take the projections of one kind out of a constraint.

    Args:
        constraint: The constraint of a variable: those of this package are nested, each
            with the one that was there before inside, and the user's own at the bottom;
            or `None`.
        kind: The class to take out; its subclasses stay.

    Returns:
        The constraint that is left, or `None`.
    """
    if not isinstance(constraint, ProjectionConstraint):
        return constraint
    constraint.inner = without(constraint.inner, kind)
    # Not `isinstance`: a `KeptZeros` is a mask, too, but belongs to the model.
    is_kind = type(constraint.projection) is kind
    return constraint.inner if is_kind else constraint
