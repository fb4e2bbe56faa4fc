"""One weight that is being pruned."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import widened
from keras_prune_kit.criteria import GradientsNeeded, gradients_needed, magnitude
from keras_prune_kit.policies import Assignment
from keras_prune_kit.pruner.errors import MaskNotAppliedWarning
from keras_prune_kit.reports import WeightSparsity
from keras_prune_kit.schedules import KeepZeros, Schedule
from keras_prune_kit.structures import count_nonzero, count_zeros


class PrunedWeight:
    """A weight, what is planned for it, its mask, and how far it is.

    Args:
        plan: What the policy decided.
        variables: Handles variables of the model's world.

    Attributes:
        path: Layer path and attribute.
        size: Number of values.
        schedule: The plan's, in plain steps once the length of the run is known.
        zeros: How many values the mask leaves out.
        reached: The sparsity that the mask stands for, 0 to 1.
        update: The step whose update the mask is from; `None` before the first.
        needs_remask: Whether the train step does not apply the mask by itself.
        is_proven: Whether a train step has been seen to apply the mask.
    """

    def __init__(self, plan: Assignment, variables: _keras.Variables) -> None:
        self._plan = plan
        self._variables = variables
        self._variable = plan.weight.variable
        self._mask: Any = None
        self._gradients: np.ndarray | None = None
        self.path = plan.weight.path
        self.size = math.prod(plan.weight.shape)
        self.schedule: Schedule = plan.schedule
        self.zeros = 0
        self.reached = 0.0
        self.update: int | None = None
        self.needs_remask = False
        self.is_proven = True
        self._held = 0.0

    @property
    def variable(self) -> Any:
        """The variable itself."""
        return self._variable

    @property
    def gradients_needed(self) -> GradientsNeeded | None:
        """The gradients that its criterion looks at."""
        return gradients_needed(self._plan.criterion)

    @property
    def keeps_zeros(self) -> bool:
        """Whether the zeros that are there are all that is wanted."""
        return isinstance(self.schedule, KeepZeros)

    @property
    def final_sparsity(self) -> float:
        """The sparsity to end with, 0 to 1."""
        return self._held if self.keeps_zeros else self.schedule.final_sparsity

    @property
    def is_at_target(self) -> bool:
        """Whether the mask is as sparse as it is meant to become."""
        return bool(self.reached >= self.final_sparsity)

    def has_lost_zeros(self) -> bool:
        """Return True if fewer values are zero than the mask leaves out."""
        return bool(count_nonzero(self.read()) > self.size - self.zeros)

    def loses_zeros(self) -> bool:
        """Return True if the schedule will let zeros grow back that are there now."""
        if self.keeps_zeros:
            return False
        zeros = self.size - count_nonzero(self.read())
        return bool(count_zeros(self.final_sparsity, self.size) < zeros < self.size)

    @property
    def scheduled(self) -> float:
        """What the schedule asks for by now, 0 to 1; 0 before its begin."""
        return 0.0 if self.update is None else self.schedule(self.update)

    def last_update(self, step: int) -> int | None:
        """The step whose update is due at a step; `None` if there is none yet."""
        return self.schedule.last_update(step) if self.schedule.is_resolved else None

    def read(self) -> np.ndarray:
        """The value, checked: a mask made from NaN would be nonsense.

        Raises:
            ValueError: If it holds NaN or infinity.
        """
        return self._variables.read_finite(self._variable, self.path)

    def nonzero(self) -> np.ndarray:
        """The values that are not zero, flat."""
        kernel = self.read()
        return kernel[kernel != 0]

    def attach(self, model: Any) -> None:
        """Gives the weight a mask, all `True`, and a constraint that applies it."""
        handle, variable = self._variables, self._variable
        self._mask = handle.make_mask(self._plan.weight.shape)
        self.zeros, self.reached, self.update = 0, 0.0, None
        layer = self._plan.weight.layer
        self.needs_remask = handle.ignores_constraint(model, variable, layer)
        if not self.needs_remask:
            own = _keras.without(handle.constraint(variable), _keras.MaskConstraint)
            constraint = _keras.MaskConstraint(handle, self._mask, own)
            handle.constrain(variable, constraint)

    def detach(self) -> None:
        """Takes mask and constraint off; the user's own constraint stays."""
        handle, variable = self._variables, self._variable
        own = _keras.without(handle.constraint(variable), _keras.MaskConstraint)
        handle.constrain(variable, own)
        self._mask = None

    def compute_mask(self) -> np.ndarray:
        """The mask that is due, from this weight alone.

        Zeros that are there stay, up to what the schedule will ask for in the end.
        """
        structure, kernel = self._plan.structure, self.read_canonical()
        if self.keeps_zeros:
            return self.from_canonical(self._held_mask(kernel))
        self.reached = max(self.scheduled, self.kept(structure.sparsity(kernel)))
        return self.from_canonical(structure.mask(self.scores(kernel), self.reached))

    def _held_mask(self, kernel: np.ndarray) -> np.ndarray:
        mask = kernel != 0 if np.any(kernel) else np.ones(kernel.shape, bool)
        self.reached = self._held = 1 - np.count_nonzero(mask) / mask.size
        return mask

    def read_canonical(self) -> np.ndarray:
        """The value as structures see it, `(..., inputs, outputs)`."""
        return self._plan.weight.to_canonical(self.read())

    def from_canonical(self, mask: np.ndarray) -> np.ndarray:
        """A mask in the shape of the variable."""
        return self._plan.weight.from_canonical(mask)

    def set_gradients(self, gradients: np.ndarray) -> None:
        """Takes what the criterion looks at, in the shape of the variable.

        Raises:
            ValueError: If it holds NaN or infinity.
        """
        if not np.isfinite(gradients).all():
            raise ValueError(
                f"The gradients of {self.path} on the sample are NaN or infinite, so "
                "the criterion has nothing to go by. Look at the data for it, or for "
                "a diverging loss."
            )
        self._gradients = gradients

    def kept(self, there: float) -> float:
        """How much of the sparsity that is there already is taken for a mask.

        A weight that is nothing but zeros was initialized so; they say nothing.
        """
        if there == 1:
            return 0.0
        final = self.final_sparsity
        is_at_target = round(there * self.size) >= count_zeros(final, self.size)
        return final if is_at_target else there

    def scores(self, kernel: np.ndarray) -> np.ndarray:
        """What the criterion says of the kernel; what is pruned already comes last.

        Or else a criterion that thinks well of zeros would exchange them for others,
        and a resumed run, which has nothing but the zeros, would end elsewhere.

        Raises:
            ValueError: If it does not give one score a weight.
        """
        looked_at = [kernel]
        if self._gradients is not None:
            looked_at.append(self._plan.weight.to_canonical(self._gradients))
        scores = self._plan.criterion(*looked_at)
        if np.shape(scores) != kernel.shape:
            raise ValueError(
                "A criterion gives one score a weight. Received: shape "
                f"{np.shape(scores)} for {self.path} of shape {kernel.shape}."
            )
        if self._plan.criterion is magnitude:
            return scores
        structure = self._plan.structure
        there = self.kept(structure.sparsity(kernel))
        return np.where(structure.mask(magnitude(kernel), there), scores, -np.inf)

    def scores_where(self, chosen: np.ndarray) -> np.ndarray:
        """The scores of some of the values, which were checked a moment ago.

        Args:
            chosen: Which ones, flat.
        """
        value = widened(self._variables.read(self._variable))
        kernel = self._plan.weight.to_canonical(value)
        if self._plan.criterion is magnitude:
            return magnitude(kernel.ravel()[chosen])
        return self.scores(kernel).ravel()[chosen]

    def set_mask(self, mask: np.ndarray) -> None:
        """Assigns a mask of the weight's shape and applies it."""
        self.zeros = mask.size - int(np.count_nonzero(mask))
        self._variables.write(self._mask, mask)
        self.is_proven = self.zeros == 0
        self.apply_mask()

    def apply_mask(self) -> None:
        """Zeroes what the mask leaves out."""
        self._variables.apply_mask(self._mask, self._variable)

    def apply_mask_to_average(self, optimizer: Any) -> None:
        """Masks what `use_ema=True` keeps: it is taken before constraints apply, and
        may become the weights."""
        average = self._variables.moving_average(optimizer, self._variable)
        if average is not None:
            self._variables.apply_mask(self._mask, average)

    def check_mask_applied(self) -> None:
        """Notice a train step that does not apply the mask, and make up for it.

        It is asked right after the first step with the mask: what is not zero later
        was written by somebody else.
        """
        if self.is_proven:
            return
        self.is_proven = True
        if self.needs_remask or not self.has_lost_zeros():
            return
        self.needs_remask = True
        warnings.warn(
            f"The train step does not apply the mask of {self.path}; it is applied "
            "after each step instead. Usually the tf.function was traced before the "
            "pruner started: start the pruner first, or make the tf.function anew.",
            MaskNotAppliedWarning,
            stacklevel=2,
        )

    def record(self, target: float | None) -> WeightSparsity:
        """The zeros that are really there."""
        zeros = self.size - count_nonzero(self.read())
        return WeightSparsity(self.path, self._plan.weight.shape, zeros, target)
