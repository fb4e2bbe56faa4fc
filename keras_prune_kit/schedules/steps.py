"""Moments of a run: a number of steps, epochs or a fraction."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TypeGuard


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
        if not is_number(self.count) or not 0 <= self.count < math.inf:
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
        if not is_number(self.of_run) or not 0 <= self.of_run <= 1:
            raise ValueError(
                "Fraction is a part of the run, 0 to 1. "
                f"Received: Fraction({self.of_run!r})."
            )

    def steps(self, *, steps_per_epoch: int, epochs: int) -> int:
        """The moment in optimizer steps."""
        return round(self.of_run * steps_per_epoch * epochs)


Step = int | Epochs | Fraction


def check_step(name: str, step: object) -> None:
    """Raises a `ValueError` unless it is a moment of a run."""
    if isinstance(step, Epochs | Fraction):
        return
    if not is_whole(step) or step < 0:
        raise ValueError(
            f"{name} is a number of optimizer steps (a whole number, at least 0), "
            f"Epochs(n) or Fraction(f). Received: {name}={step!r}."
        )


def check_order(begin: Step, end: Step) -> None:
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


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number and not a bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
