"""Schedules answer one question: how sparse at step t?

A schedule is a value. A step is the number of optimizer steps done, an `Epochs` or
a `Fraction` of the run; `resolve` turns the last two into plain steps once the
length of the run is known. Names, order of arguments and formulas are TFMOT's
(`tfmot.sparsity.keras.PolynomialDecay`), so that a line of TFMOT code carries over.
"""

from __future__ import annotations

import abc
import math
import numbers
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from typing_extensions import Self

UPDATES_PER_RAMP = 100


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class Epochs:
    """A moment of the run, counted in epochs.

    Args:
        count: Epochs since the start of the run; may have a fractional part.

    Example:

    >>> Epochs(1.5).steps(steps_per_epoch=100, epochs=4)
    150
    """

    count: float

    def __post_init__(self) -> None:
        if not _is_number(self.count) or not 0 <= self.count < math.inf:
            raise ValueError(
                f"Epochs counts from 0 upwards. Received: Epochs({self.count!r})."
            )

    def steps(self, *, steps_per_epoch: int, epochs: int) -> int:
        """The moment in optimizer steps."""
        return round(self.count * steps_per_epoch)


@dataclass(frozen=True)
class Fraction:
    """A moment of the run, as a fraction of its whole length.

    Args:
        of_run: 0 is the start of the run, 1 its end.

    Example:

    >>> Fraction(0.5).steps(steps_per_epoch=100, epochs=4)
    200
    """

    of_run: float

    def __post_init__(self) -> None:
        if not _is_number(self.of_run) or not 0 <= self.of_run <= 1:
            raise ValueError(
                "Fraction is a part of the run, 0 to 1. "
                f"Received: Fraction({self.of_run!r})."
            )

    def steps(self, *, steps_per_epoch: int, epochs: int) -> int:
        """The moment in optimizer steps."""
        return round(self.of_run * steps_per_epoch * epochs)


Step = int | Epochs | Fraction


class Schedule(abc.ABC):
    """Base of all schedules.

    A subclass is a frozen dataclass with the fields `begin_step`, `end_step` and
    `frequency`, a field or property `final_sparsity`, and the formula `__call__`.
    """

    final_sparsity: float
    begin_step: Step
    end_step: Step | None
    frequency: int | None

    @abc.abstractmethod
    def __call__(self, step: int) -> float:
        """The sparsity at a step, 0 to 1.

        As in TFMOT the formula also has a value before `begin_step`; nothing is
        pruned then, because `last_update` is `None`.

        Args:
            step: Optimizer steps done.
        """

    @abc.abstractmethod
    def with_final_sparsity(self, sparsity: float) -> Self:
        """The same timing with another final sparsity, 0 to 1."""

    def __post_init__(self) -> None:
        _check_step("begin_step", self.begin_step)
        if self.end_step is not None:
            _check_step("end_step", self.end_step)
            _check_order(self.begin_step, self.end_step)
        if self.frequency is not None and (
            not _is_whole(self.frequency) or self.frequency < 1
        ):
            raise ValueError(
                "frequency is the number of steps between updates, at least 1, or "
                f"None to choose it. Received: frequency={self.frequency!r}."
            )

    @property
    def is_resolved(self) -> bool:
        """Whether every step is a plain number."""
        return not isinstance(self.begin_step, Epochs | Fraction) and not isinstance(
            self.end_step, Epochs | Fraction
        )

    def resolve(self, *, steps_per_epoch: int, epochs: int = 1) -> Self:
        """The same schedule in plain steps.

        Args:
            steps_per_epoch: Optimizer steps in an epoch.
            epochs: Epochs in the run, those before `initial_epoch` included.

        Returns:
            A schedule whose `begin_step` and `end_step` are integers.

        Raises:
            ValueError: If `begin_step` falls after `end_step`.
        """

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
        """The latest step, up to `step`, at which masks are due to be updated.

        Updates come every `frequency` steps from `begin_step` on, and always at
        `end_step`. It depends on the step alone, so a resumed run needs no memory.

        Args:
            step: Optimizer steps done.

        Returns:
            A step, or `None` before `begin_step`.

        Raises:
            ValueError: If the schedule is not resolved.
        """
        begin, end = self._plain_bounds()
        if step < begin:
            return None
        if end is not None and step >= end:
            return end
        interval = self._interval(begin, end)
        if interval is None:
            return begin
        return begin + (step - begin) // interval * interval

    def _interval(self, begin: int, end: int | None) -> int | None:
        if self.frequency is not None:
            return self.frequency
        return None if end is None else max(1, (end - begin) // UPDATES_PER_RAMP)

    def _plain_bounds(self) -> tuple[int, int | None]:
        begin, end = self.begin_step, self.end_step
        if isinstance(begin, Epochs | Fraction) or isinstance(end, Epochs | Fraction):
            raise ValueError(
                "The schedule counts in epochs or in fractions of a run whose length "
                "is not known. Call resolve(steps_per_epoch=..., epochs=...) first, "
                f"or give plain steps. Received: {self}."
            )
        return begin, end

    def _progress(self, step: int) -> float:
        """How far along the ramp a step is: 0 at `begin_step`, 1 at `end_step`."""
        begin, end = self._plain_bounds()
        if end is None or step >= end:
            return 1.0
        return max(0, step - begin) / (end - begin)


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """Sparsity that rises fast at first and slowly towards its end.

    `final + (initial - final) * (1 - p) ** power`, where `p` goes from 0 at
    `begin_step` to 1 at `end_step`. The best first choice. From Zhu and Gupta, "To
    prune, or not to prune" (arXiv 1710.01878); TFMOT's `PolynomialDecay`.

    Args:
        initial_sparsity: Sparsity at `begin_step`, 0 to 1.
        final_sparsity: Sparsity from `end_step` on, 0 to 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: Steps, `Epochs` or `Fraction`. Defaults to `Fraction(0.75)`, which
            leaves a quarter of the run to recover in.
        power: Exponent of the ramp, above 0. Defaults to 3.
        frequency: Steps between updates. Defaults to about 100 updates in all.

    Raises:
        ValueError: If a value is out of range.

    Example:

    >>> schedule = PolynomialDecay(0.0, 0.8, begin_step=0, end_step=1000)
    >>> schedule(0), round(schedule(500), 3), schedule(1000)
    (0.0, 0.7, 0.8)
    """

    initial_sparsity: float
    final_sparsity: float
    begin_step: Step = 0
    end_step: Step = Fraction(0.75)
    power: float = 3.0
    frequency: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_rise(self.initial_sparsity, self.final_sparsity)
        if not _is_number(self.power) or not 0 < self.power < math.inf:
            raise ValueError(f"power must be above 0. Received: power={self.power!r}.")

    def __call__(self, step: int) -> float:
        fall = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + fall * (1 - self._progress(step)) ** self.power

    def with_final_sparsity(self, sparsity: float) -> PolynomialDecay:
        initial = min(self.initial_sparsity, sparsity)
        return replace(self, initial_sparsity=initial, final_sparsity=sparsity)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Sparsity that rises along half a cosine: slow, fast, slow.

    `final + (initial - final) * (1 + cos(pi * p)) / 2`. Gentler at its start than
    `PolynomialDecay`. The shape is that of Loshchilov and Hutter, "SGDR" (arXiv
    1608.03983).

    Args:
        initial_sparsity: Sparsity at `begin_step`, 0 to 1.
        final_sparsity: Sparsity from `end_step` on, 0 to 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: Steps, `Epochs` or `Fraction`. Defaults to `Fraction(0.75)`.
        frequency: Steps between updates. Defaults to about 100 updates in all.

    Raises:
        ValueError: If a value is out of range.

    Example:

    >>> schedule = CosineDecay(0.0, 0.8, begin_step=0, end_step=1000)
    >>> schedule(0), round(schedule(500), 3), schedule(1000)
    (0.0, 0.4, 0.8)
    """

    initial_sparsity: float
    final_sparsity: float
    begin_step: Step = 0
    end_step: Step = Fraction(0.75)
    frequency: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_rise(self.initial_sparsity, self.final_sparsity)

    def __call__(self, step: int) -> float:
        fall = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + fall * _half_cosine(self._progress(step))

    def with_final_sparsity(self, sparsity: float) -> CosineDecay:
        initial = min(self.initial_sparsity, sparsity)
        return replace(self, initial_sparsity=initial, final_sparsity=sparsity)


@dataclass(frozen=True)
class ConstantSparsity(Schedule):
    """The same sparsity from `begin_step` on; TFMOT's `ConstantSparsity`.

    For fine-tuning a model that is already sparse, and for structures that make no
    sense half way, such as `NofM`.

    Args:
        target_sparsity: The sparsity, 0 to 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: The last step that updates masks; the zeros stay afterwards.
            Defaults to `None`, the end of training; TFMOT's -1 means the same.
        frequency: Steps between updates. Defaults to a single update, at
            `begin_step`: later ones would find the same smallest weights.

    Raises:
        ValueError: If a value is out of range.

    Example:

    >>> ConstantSparsity(0.5, begin_step=100).last_update(5000)
    100
    """

    target_sparsity: float
    begin_step: Step = 0
    end_step: Step | None = None
    frequency: int | None = None

    def __post_init__(self) -> None:
        if _is_whole(self.end_step) and self.end_step == -1:
            object.__setattr__(self, "end_step", None)
        super().__post_init__()
        check_sparsity("target_sparsity", self.target_sparsity)

    @property
    def final_sparsity(self) -> float:  # pyright: ignore
        """The sparsity that the schedule ends at, 0 to 1."""
        return self.target_sparsity

    def __call__(self, step: int) -> float:
        return self.target_sparsity

    def with_final_sparsity(self, sparsity: float) -> ConstantSparsity:
        return replace(self, target_sparsity=sparsity)

    def last_update(self, step: int) -> int | None:
        begin, _ = self._plain_bounds()
        if self.frequency is None:
            return None if step < begin else begin
        return super().last_update(step)


def check_sparsity(name: str, sparsity: object) -> None:
    """Raises a `ValueError` unless the value is a sparsity, at least 0 and below 1."""
    if not _is_number(sparsity) or not 0 <= sparsity < 1:
        raise ValueError(
            f"{name} is the fraction of weights that are zero, at least 0 and below 1 "
            f"(write 0.8 for 80 %). Received: {name}={sparsity!r}."
        )


def _check_rise(initial: float, final: float) -> None:
    check_sparsity("initial_sparsity", initial)
    check_sparsity("final_sparsity", final)
    if initial > final:
        raise ValueError(
            "Sparsity can only rise, so initial_sparsity must not be above "
            f"final_sparsity. Received: initial_sparsity={initial}, "
            f"final_sparsity={final}."
        )


def _check_step(name: str, step: object) -> None:
    if isinstance(step, Epochs | Fraction):
        return
    if not _is_whole(step) or step < 0:
        raise ValueError(
            f"{name} is a number of optimizer steps (a whole number, at least 0), "
            f"Epochs(n) or Fraction(f). Received: {name}={step!r}."
        )


def _check_order(begin: Step, end: Step) -> None:
    """Compares what can be compared before the length of the run is known."""
    positions = {
        int: lambda step: step,
        Epochs: lambda step: step.count,
        Fraction: lambda step: step.of_run,
    }
    for kind, position in positions.items():
        if isinstance(begin, kind) and isinstance(end, kind):
            if position(begin) > position(end):
                raise ValueError(
                    "begin_step must not come after end_step. "
                    f"Received: begin_step={begin}, end_step={end}."
                )


def _half_cosine(progress: float) -> float:
    """1 at progress 0, 0 at progress 1, both exactly."""
    return 0.0 if progress == 1 else (1 + math.cos(math.pi * progress)) / 2


def _as_dataclass(schedule: Schedule) -> Any:
    """Every schedule is a dataclass, which its base class cannot say."""
    return schedule
