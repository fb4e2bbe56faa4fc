"""Points in a training run, as steps, epochs or a fraction of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from keras_prune_kit._tools.checks import check_whole, is_number, is_whole
from keras_prune_kit._tools.typed import Typed


@dataclass(frozen=True, repr=False)
class Epochs(Typed):
    """A point in the run, counted in epochs.

    Args:
        count: Epochs since the start of the run, at least 0; may be fractional.

    Example:

    >>> Epochs(1.5).steps(steps_per_epoch=100, epochs=4)
    150
    """

    count: float

    def __post_init__(self) -> None:
        if not is_number(self.count) or not 0 <= self.count < math.inf:
            raise ValueError(
                "Epochs(count) needs a number of epochs, at least 0. "
                f"Received: Epochs({self.count!r})."
            )

    def steps(self, *, steps_per_epoch: int, epochs: int) -> int:
        """Return the number of optimizer steps at this point.

        Args:
            steps_per_epoch: Optimizer steps in an epoch, at least 0.
            epochs: Epochs in the run, at least 0.
        """
        _check_length(steps_per_epoch, epochs)
        return round(self.count * steps_per_epoch)


@dataclass(frozen=True, repr=False)
class Fraction(Typed):
    """A point in the run, as a fraction of its length.

    Args:
        of_run: 0 for the start of the run, 1 for its end.

    Example:

    >>> Fraction(0.5).steps(steps_per_epoch=100, epochs=4)
    200
    """

    of_run: float

    def __post_init__(self) -> None:
        if not is_number(self.of_run) or not 0 <= self.of_run <= 1:
            raise ValueError(
                "Fraction(of_run) needs a fraction of the run, 0 to 1. "
                f"Received: Fraction({self.of_run!r})."
            )

    def steps(self, *, steps_per_epoch: int, epochs: int) -> int:
        """Return the number of optimizer steps at this point.

        Args:
            steps_per_epoch: Optimizer steps in an epoch, at least 0.
            epochs: Epochs in the run, at least 0.
        """
        _check_length(steps_per_epoch, epochs)
        # Not int(), which makes 28 of 0.29 * 100 = 28.999999999999996.
        return round(self.of_run * steps_per_epoch * epochs)


Step = int | Epochs | Fraction


def check_step(name: str, step: object) -> None:
    """Raise a `ValueError` unless a value is a point in a run."""
    if isinstance(step, Epochs | Fraction):
        return
    if not is_whole(step) or step < 0:
        raise ValueError(
            f"{name} is a number of optimizer steps (a whole number, at least 0), "
            f"Epochs(n) or Fraction(f). Received: {name}={step!r}."
        )


def _check_length(steps_per_epoch: object, epochs: object) -> None:
    check_whole("steps_per_epoch", steps_per_epoch, least=0)
    check_whole("epochs", epochs, least=0)


def check_order(begin: Step, end: Step) -> None:
    """Raise a `ValueError` if `begin` comes after `end`.

    Steps of different types cannot be compared before the length of the run is known.
    """
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
