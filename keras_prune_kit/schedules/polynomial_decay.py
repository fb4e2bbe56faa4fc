"""A polynomial sparsity schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from keras_prune_kit.schedules.schedule import Schedule, check_rise, check_sparsity
from keras_prune_kit.schedules.steps import Fraction, Step, is_number


@dataclass(frozen=True, repr=False)
class PolynomialDecay(Schedule):
    """Sparsity that rises fast at first and slowly at the end; the best first choice.

    `final + (initial - final) * (1 - p) ** power`, where `p` goes from 0 at
    `begin_step` to 1 at `end_step`. From Zhu and Gupta, "To prune, or not to prune"
    (arXiv 1710.01878); TFMOT's `PolynomialDecay`.

    Args:
        initial_sparsity: Sparsity at `begin_step`, at least 0 and below 1.
        final_sparsity: Sparsity from `end_step` on, at least 0 and below 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: Steps, `Epochs` or `Fraction`. Defaults to `Fraction(0.75)`, which
            leaves a quarter of the run for recovery.
        power: Exponent of the ramp, above 0. Defaults to 3.
        frequency: Steps between updates. Defaults to `None`, about 100 updates in all,
            and fewer in a ramp of less than 600 steps, where they would cost much of
            the time: one in six steps, but eight at least.

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
        check_rise(self.initial_sparsity, self.final_sparsity)
        if not is_number(self.power) or not 0 < self.power < math.inf:
            raise ValueError(f"power must be above 0. Received: power={self.power!r}.")

    def __call__(self, step: int) -> float:
        fall = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + fall * (1 - self._progress(step)) ** self.power

    def with_final_sparsity(self, sparsity: float) -> PolynomialDecay:
        check_sparsity("sparsity", sparsity)
        # Sparsity only rises, so a lower end lowers the start too.
        initial = min(self.initial_sparsity, sparsity)
        return replace(self, initial_sparsity=initial, final_sparsity=sparsity)
