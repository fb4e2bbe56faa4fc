"""Constraints of this package beside one another and beside the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.variables import MaskConstraint, Variables


class ClusterConstraint:
    """Puts each cluster's mean in place of its members, after the constraint that
    was there.

    Optimizers call it right after each update, inside the compiled train step.

    Args:
        variables: Handles variables of the model's world.
        index: Variable of the weight's shape: which cluster each value belongs to.
        counts: Members of each cluster; one that counts none becomes zero.
        inner: The constraint that was there, or `None`.
    """

    def __init__(
        self, variables: Variables, index: Any, counts: np.ndarray, inner: Any = None
    ) -> None:
        self.variables = variables
        self.index = index
        self.counts = counts
        self.inner = inner

    def __call__(self, value: Any) -> Any:
        if self.inner is not None:
            value = self.inner(value)
        return self.variables.clustered(self.index, self.counts, value)


def without(constraint: Any, kind: type) -> Any:
    """What is left of a constraint once those of a kind are taken out of it.

    Args:
        constraint: What a variable has: constraints of this package, each with the one
            that was there before inside, the user's own at the bottom, or `None`.
        kind: The class to take out; its subclasses stay.
    """
    if not isinstance(constraint, MaskConstraint | ClusterConstraint):
        return constraint
    constraint.inner = without(constraint.inner, kind)
    return constraint.inner if type(constraint) is kind else constraint
