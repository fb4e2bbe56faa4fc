"""The base class of all schedules."""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras_prune_kit._tools.checks import check_whole, is_number, is_whole
from keras_prune_kit._tools.typed import Typed
from keras_prune_kit.schedules.steps import (
    Epochs,
    Fraction,
    Step,
    check_order,
    check_step,
)

if TYPE_CHECKING:
    from typing_extensions import Self

# Relative to the ramp: every 100 steps, TFMOT's default, never prunes short runs.
UPDATES_PER_RAMP = 100
# In a short ramp, an update may cost as much as a step: fewer of them are enough.
_LEAST_INTERVAL = 6
_LEAST_UPDATES = 8


class Schedule(Typed, abc.ABC):
    """Base class of schedules.

    A subclass is a frozen dataclass with the fields `begin_step`, `end_step` and
    `frequency`, a field or property `final_sparsity`, and the formula `__call__`.
    """

    final_sparsity: float
    begin_step: Step
    end_step: Step | None
    frequency: int | None

    @abc.abstractmethod
    def __call__(self, step: int) -> float:
        """Return the sparsity at a step, at least 0 and below 1.

        As in TFMOT, the formula also has a value before `begin_step`, where nothing is
        pruned because `last_update` returns `None`.

        Args:
            step: Number of completed optimizer steps.
        """

    @abc.abstractmethod
    def with_final_sparsity(self, sparsity: float) -> Self:
        """Return a schedule with the same timing and another final sparsity.

        Args:
            sparsity: Sparsity to end with, at least 0 and below 1.
        """

    def __post_init__(self) -> None:
        check_step("begin_step", self.begin_step)
        if self.end_step is not None:
            check_step("end_step", self.end_step)
            check_order(self.begin_step, self.end_step)
        if self.frequency is not None and (
            not is_whole(self.frequency) or self.frequency < 1
        ):
            raise ValueError(
                "frequency is the number of steps between updates, at least 1, or "
                f"None to choose it. Received: frequency={self.frequency!r}."
            )

    @property
    def is_resolved(self) -> bool:
        """True if `begin_step` and `end_step` are numbers of optimizer steps."""
        return not isinstance(self.begin_step, Epochs | Fraction) and not isinstance(
            self.end_step, Epochs | Fraction
        )

    def resolve(self, *, steps_per_epoch: int, epochs: int = 1) -> Self:
        """Return the same schedule with steps as numbers of optimizer steps.

        Args:
            steps_per_epoch: Optimizer steps in an epoch.
            epochs: Epochs in the run, including those before `initial_epoch`. Defaults
                to 1.

        Returns:
            A schedule whose `begin_step` and `end_step` are integers (or `None`).

        Raises:
            ValueError: If `begin_step` falls after `end_step`.
        """
        check_whole("steps_per_epoch", steps_per_epoch)
        check_whole("epochs", epochs)

        def plain(step: Step | None) -> int | None:
            if isinstance(step, Epochs | Fraction):
                return step.steps(steps_per_epoch=steps_per_epoch, epochs=epochs)
            return step

        return replace(
            _as_dataclass(self),
            begin_step=plain(self.begin_step),
            end_step=plain(self.end_step),
        )

    def last_update(self, step: int) -> int | None:
        """Return the latest step, up to `step`, at which masks must be updated.

        Updates are due every `frequency` steps from `begin_step` on, and always at
        `end_step`. The result depends only on the step, so a resumed run needs no
        saved state.

        Args:
            step: Number of completed optimizer steps.

        Returns:
            A step, or `None` before `begin_step`.

        Raises:
            ValueError: If the schedule is not resolved.
        """
        check_whole("step", step, least=0)
        begin, end = self._plain_bounds()
        if step < begin:
            return None
        # Also if `frequency` does not divide the ramp, so the target is always reached.
        if end is not None and step >= end:
            return end
        interval = self._interval(begin, end)
        if interval is None:
            return begin
        return begin + (step - begin) // interval * interval

    def _interval(self, begin: int, end: int | None) -> int | None:
        if self.frequency is not None:
            return self.frequency
        # Without an end there is no ramp to divide: one update, at `begin_step`.
        if end is None:
            return None
        interval = max(_LEAST_INTERVAL, (end - begin) // UPDATES_PER_RAMP)
        return max(1, min(interval, (end - begin) // _LEAST_UPDATES))

    def _plain_bounds(self) -> tuple[int, int | None]:
        begin, end = self.begin_step, self.end_step
        if isinstance(begin, Epochs | Fraction) or isinstance(end, Epochs | Fraction):
            raise ValueError(
                "The schedule counts in epochs or in fractions of a run whose length "
                "is not known. Call resolve(steps_per_epoch=..., epochs=...) first, "
                f"or use numbers of steps. Received: {self}."
            )
        return begin, end

    def _progress(self, step: int) -> float:
        """Return the progress along the ramp: 0 at `begin_step`, 1 at `end_step`."""
        begin, end = self._plain_bounds()
        # First, as both ends may be the same step: no division by zero follows.
        if end is None or step >= end:
            return 1.0
        return 0.0 if step <= begin else (step - begin) / (end - begin)


def check_sparsity(name: str, sparsity: object) -> None:
    """Raise a `ValueError` unless a value is a sparsity, at least 0 and below 1."""
    if not is_number(sparsity) or not 0 <= sparsity < 1:
        raise ValueError(
            f"{name} is the fraction of weights that are zero, at least 0 and below 1 "
            f"(write 0.8 for 80 %). Received: {name}={sparsity!r}."
            + instead_of_tfmot(sparsity)
        )


def instead_of_tfmot(schedule: object) -> str:
    """Return the remedy for a schedule of TFMOT; empty for anything else."""
    roots = {base.__module__.partition(".")[0] for base in type(schedule).__mro__}
    if "tensorflow_model_optimization" not in roots:
        return ""
    return (
        " TFMOT's schedules belong to its wrappers: write kpk.PolynomialDecay or "
        "kpk.ConstantSparsity with the same arguments."
    )


def check_rise(initial: float, final: float) -> None:
    """Raise a `ValueError` unless both are sparsities and `initial` is not above."""
    check_sparsity("initial_sparsity", initial)
    check_sparsity("final_sparsity", final)
    if initial > final:
        raise ValueError(
            "Sparsity can only rise, so initial_sparsity must not be above "
            f"final_sparsity. Received: initial_sparsity={initial}, "
            f"final_sparsity={final}."
        )


def _as_dataclass(schedule: Schedule) -> Any:
    """Return a schedule typed as a dataclass, which the base class cannot express."""
    return schedule
