"""A weight that is being pruned."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import widened
from keras_prune_kit.channels import TiedAxis
from keras_prune_kit.criteria import (
    Criterion,
    GradientsNeeded,
    gradients_needed,
    inputs_needed,
    magnitude,
    scored_by,
)
from keras_prune_kit.policies import Assignment
from keras_prune_kit.pruner.masked_weight import MaskedWeight
from keras_prune_kit.reports import WeightSparsity
from keras_prune_kit.schedules import KeepZeros, Schedule
from keras_prune_kit.structures import Channel, count_nonzero, count_zeros


class PrunedWeight(MaskedWeight):
    """A weight with a mask, and its progress along its schedule.

    Args:
        assignment: The schedule, structure and criterion that the policy chose.
        variables: Handles variables of the model's world.

    Attributes:
        schedule: The schedule, in plain steps once the length of the run is known.
        reached: The sparsity that the mask counts as having reached, 0 to 1.
        update: The scheduled step of the last mask update; `None` before the first.
    """

    def __init__(self, assignment: Assignment, variables: _keras.Variables) -> None:
        weight = assignment.weight
        super().__init__(weight.path, weight.variable, weight.layer, variables)
        self._weight = weight
        self._assignment = assignment
        self._gradients: np.ndarray | None = None
        self._scores_by_inputs: np.ndarray | None = None
        self.schedule: Schedule = assignment.schedule
        self.reached = 0.0
        self.update: int | None = None
        self._kept_sparsity = 0.0

    @property
    def gradients_needed(self) -> GradientsNeeded | None:
        """The gradients that the criterion needs."""
        return gradients_needed(self._assignment.criterion)

    @property
    def criterion_of_inputs(self) -> Criterion | None:
        """The criterion, if it needs inputs."""
        criterion = self._assignment.criterion
        return criterion if inputs_needed(criterion) else None

    @property
    def is_adapted(self) -> bool:
        """True if a LoRA adapter is added to it."""
        return self._weight.is_adapted

    @property
    def keeps_zeros(self) -> bool:
        """True if the schedule only keeps the zeros that are there."""
        return isinstance(self.schedule, KeepZeros)

    @property
    def final_sparsity(self) -> float:
        """The final sparsity, 0 to 1."""
        return self._kept_sparsity if self.keeps_zeros else self.schedule.final_sparsity

    @property
    def is_at_target(self) -> bool:
        """True if the mask has reached the final sparsity."""
        return bool(self.reached >= self.final_sparsity)

    @property
    def scheduled(self) -> float:
        """The currently scheduled sparsity, 0 to 1; 0 before the begin step."""
        return 0.0 if self.update is None else self.schedule(self.update)

    def surplus_of_zeros(self) -> int:
        """Return the existing zeros beyond those at the end; negative if fewer."""
        zeros = self.existing_zeros(self.read())
        return 0 if self.keeps_zeros else zeros - self.final_zeros

    def existing_zeros(self, kernel: np.ndarray) -> int:
        """Return the number of zeros that count as a mask.

        In a weight that is all zeros, these are its initial values: none counts.
        """
        zeros = self.size - count_nonzero(kernel)
        return 0 if zeros == self.size else zeros

    @property
    def final_zeros(self) -> int:
        """The number of zeros at the final sparsity."""
        return count_zeros(self.final_sparsity, self.size)

    def last_update(self, step: int) -> int | None:
        """Return the last update step up to a step; `None` before the first."""
        return self.schedule.last_update(step) if self.schedule.is_resolved else None

    def nonzero(self) -> np.ndarray:
        """Return the nonzero values as a flat array."""
        kernel = self.read()
        return kernel[kernel != 0]

    def attach(self, optimizer: Any, mask: Any = None) -> None:
        self.reached, self.update = 0.0, None
        super().attach(optimizer, mask)

    def compute_mask(self) -> np.ndarray:
        """Return the mask that is due, from a ranking within this weight.

        Existing zeros stay, up to the final sparsity of the schedule.
        """
        structure, kernel = self._assignment.structure, self.read_canonical()
        if self.keeps_zeros:
            return self.from_canonical(self._mask_of_zeros(kernel))
        self.reached = max(self.scheduled, self.kept(structure.sparsity(kernel)))
        return self.from_canonical(structure.mask(self.scores(kernel), self.reached))

    def _mask_of_zeros(self, kernel: np.ndarray) -> np.ndarray:
        mask = kernel != 0 if np.any(kernel) else np.ones(kernel.shape, bool)
        self.reached = self._kept_sparsity = 1 - np.count_nonzero(mask) / mask.size
        return mask

    def read_canonical(self) -> np.ndarray:
        """Return the value in the layout of structures, `(..., inputs, outputs)`."""
        return self._weight.to_canonical(self.read())

    def from_canonical(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask in the shape of the variable."""
        return self._weight.from_canonical(mask)

    @property
    def channels(self) -> TiedAxis | None:
        """The channels that it loses together with other weights, or `None`."""
        return None if self.keeps_zeros else self._assignment.channels

    def channel_count(self, channels: int) -> tuple[int, int]:
        """Return the zero channels that are due now and at the end, of a number."""
        structure = self._assignment.structure
        final = count_zeros(self.final_sparsity, channels)
        if isinstance(structure, Channel):
            final = structure.count(self.final_sparsity, channels)
        due = count_zeros(self.scheduled, channels)
        is_due = self.scheduled >= self.final_sparsity
        return (final if is_due else min(due, final)), final

    def channel_scores(self, axis: TiedAxis, roots: np.ndarray) -> np.ndarray:
        """Return the mean score of each set of channels, relative to their mean.

        Args:
            axis: Its channels.
            roots: The sets, sorted.
        """
        scores = self.from_canonical(self._criterion_scores(self.read_canonical()))
        return _relative(axis.means(widened(scores), roots))

    def reader_scores(self, reader: TiedAxis, roots: np.ndarray) -> np.ndarray:
        """Return likewise the mean scores in a kernel that reads the channels.

        They are zero for a criterion that needs gradients or inputs, which are those of
        pruned weights alone.

        Args:
            reader: The axis of that kernel.
            roots: The sets, sorted.
        """
        if self.gradients_needed is not None or self.criterion_of_inputs is not None:
            return np.zeros(len(roots))
        value = widened(self._variables.read(reader.variable))
        scores = scored_by(self._assignment.criterion, self.path, value, None)
        return _relative(reader.means(scores, roots))

    def zero_channels(self, axis: TiedAxis, roots: np.ndarray) -> np.ndarray:
        """Return True for each set of channels that is all zero here."""
        return axis.means((self.read() != 0).astype(np.float32), roots) == 0

    def set_gradients(self, gradients: np.ndarray) -> None:
        """Set the gradients that the criterion needs, in the shape of the variable.

        Raises:
            ValueError: If they contain NaN or infinity.
        """
        if not np.isfinite(gradients).all():
            raise ValueError(
                f"The gradients of {self.path} on the sample are NaN or infinite, so "
                "its values cannot be ranked. Check the sample for NaN, and the loss "
                "for divergence."
            )
        self._gradients = gradients

    def set_scores(self, scores: np.ndarray) -> None:
        """Set the scores of a criterion that needs inputs, in the layout of structures.

        The inputs themselves take the memory of many kernels.
        """
        self._scores_by_inputs = scores

    def kept(self, there: float) -> float:
        """Return the part of an existing sparsity that counts as a mask, 0 to 1.

        In a weight that is all zeros, these are its initial values: none counts.
        """
        if there == 1:
            return 0.0
        final = self.final_sparsity
        # Counts are compared, as fractions that stand for the same count may differ.
        is_at_target = round(there * self.size) >= count_zeros(final, self.size)
        return final if is_at_target else there

    def scores(self, kernel: np.ndarray) -> np.ndarray:
        """Return the criterion's scores of a kernel; pruned values score lowest.

        Otherwise a criterion that ranks zeros high would exchange them for others, and
        a resumed run, which only has the zeros, would end with a different mask.

        Raises:
            ValueError: If the criterion does not return one score per value.
        """
        scores = self._criterion_scores(kernel)
        # By magnitude, zeros score lowest anyway.
        if self._assignment.criterion is magnitude:
            return scores
        structure = self._assignment.structure
        there = self.kept(structure.sparsity(kernel))
        return np.where(structure.mask(magnitude(kernel), there), scores, -np.inf)

    def _criterion_scores(self, kernel: np.ndarray) -> np.ndarray:
        if self._scores_by_inputs is not None:
            return self._scores_by_inputs
        gradients = self._gradients
        if gradients is not None:
            gradients = self._weight.to_canonical(gradients)
        return scored_by(self._assignment.criterion, self.path, kernel, gradients)

    def scores_where(self, chosen: np.ndarray) -> np.ndarray:
        """Return the scores of some values, which are not checked for NaN again.

        Args:
            chosen: Flat indices or a flat mask of the values.
        """
        value = widened(self._variables.read(self.variable))
        kernel = self._weight.to_canonical(value)
        # The score of a value does not depend on the others: only these are computed.
        if self._assignment.criterion is magnitude:
            return magnitude(kernel.ravel()[chosen])
        return self.scores(kernel).ravel()[chosen]

    def record(self, target: float | None) -> WeightSparsity:
        """Return a record of the actual zeros and a target sparsity."""
        zeros = self.size - count_nonzero(self.read())
        return WeightSparsity(self.path, self._weight.shape, zeros, target)


def _relative(means: np.ndarray) -> np.ndarray:
    """Divide by the mean, so that kernels of any scale count alike."""
    scale = np.abs(means).mean()
    return means / scale if scale > 0 else means
