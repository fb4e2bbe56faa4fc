"""A weight that is projected after each update during training."""

from __future__ import annotations

import abc
import math
import warnings
from typing import Any, ClassVar

import numpy as np

from keras_prune_kit import _keras


class HeldWeight(abc.ABC):
    """A weight with a constraint that projects it after each update of the optimizer.

    The projection is a mask for a pruned weight and the means of clusters for a
    clustered one.

    Args:
        path: Layer path and attribute.
        variable: The Keras variable.
        layer: The layer that owns it; `None` if that does not matter.
        variables: Handles variables of the model's world.

    Attributes:
        path: Layer path and attribute.
        variable: The Keras variable.
        size: The number of values.
        needs_projection: If True, the train step does not apply the constraint, and
            the engine projects the weight after each step instead.
    """

    # The projection, and the warning about a train step that does not apply it.
    projection_kind: ClassVar[type[_keras.Projection]]
    warning: ClassVar[type[UserWarning]]
    advice: ClassVar[str]

    def __init__(
        self, path: str, variable: Any, layer: Any, variables: _keras.Variables
    ) -> None:
        self.path = path
        self.variable = variable
        self._layer = layer
        self._variables = variables
        self._projection: Any = None
        self._optimizer: Any = None
        self.size = math.prod(variable.shape)
        self.needs_projection = False

    def read(self) -> np.ndarray:
        """Return the value.

        Raises:
            ValueError: If it contains NaN or infinity.
        """
        return self._variables.read_finite(self.variable, self.path)

    def hold(self, projection: _keras.Projection, optimizer: Any) -> None:
        """Constrain the weight to a projection; an existing constraint still applies.

        Args:
            projection: The projection.
            optimizer: The optimizer that trains the weight, or `None` if unknown.
        """
        handle, variable = self._variables, self.variable
        handle.share(optimizer, projection.state)
        self._projection, self._optimizer = projection, optimizer
        self.needs_projection = handle.ignores_constraint(optimizer, self._layer)
        if not self.needs_projection:
            # A projection that an interrupted run left behind is replaced, not nested.
            constraint = _keras.ProjectionConstraint(projection, self.own_constraint())
            handle.constrain(variable, constraint)

    def detach(self) -> None:
        """Remove the projection; other constraints stay."""
        self._variables.constrain(self.variable, self.own_constraint())
        if self._projection is not None:
            self._variables.unshare(self._optimizer, self._projection.state)
        self._projection = self._optimizer = None

    def project(self) -> None:
        """Apply the projection to the weight."""
        self._variables.sync()
        self.variable.assign(self._projection(self.variable))

    def project_what_constraints_miss(self) -> None:
        """Apply the projection where the train step does not.

        An optimizer with `use_ema=True` averages the weights before constraints apply,
        and may overwrite the weights with these averages.
        """
        optimizer = _keras.inner_optimizer(self._optimizer)
        is_averaged = getattr(optimizer, "use_ema", False)
        if self.needs_projection or is_averaged:
            self.project()
        if is_averaged:
            average = self._variables.moving_average(optimizer, self.variable)
            if average is not None:
                # Averages of masked weights still hold values from before the mask.
                average.assign(self._projection(average))

    @abc.abstractmethod
    def is_projected(self) -> bool:
        """Return True if the projection would not change the weight."""

    def check_applied(self) -> None:
        """Warn if the train step ignored the constraint, and set `needs_projection`."""
        if self.needs_projection or self.is_projected():
            return
        self.needs_projection = True
        warnings.warn(self.advice.format(path=self.path), self.warning, stacklevel=2)

    def own_constraint(self) -> Any:
        """Return the constraint of the weight without the projection, or `None`."""
        constraint = self._variables.constraint(self.variable)
        return _keras.without(constraint, self.projection_kind)
