"""A sparsity schedule along half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from keras_prune_kit.schedules.schedule import Schedule, check_rise, check_sparsity
from keras_prune_kit.schedules.steps import Fraction, Step


@dataclass(frozen=True, repr=False)
class CosineDecay(Schedule):
    """Sparsity that rises along half a cosine: slow, fast, slow.

    `final + (initial - final) * (1 + cos(pi * p)) / 2`, where `p` goes from 0 at
    `begin_step` to 1 at `end_step`. It starts more slowly than `PolynomialDecay`. The
    shape is that of Loshchilov and Hutter, "SGDR" (arXiv 1608.03983).

    Args:
        initial_sparsity: Sparsity at `begin_step`, at least 0 and below 1.
        final_sparsity: Sparsity from `end_step` on, at least 0 and below 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: Steps, `Epochs` or `Fraction`. Defaults to `Fraction(0.75)`.
        frequency: Steps between updates. Defaults to `None`, about 100 updates in all,
            and fewer in a ramp of less than 600 steps, where they would cost much of
            the time: one in six steps, but eight at least.

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
        check_rise(self.initial_sparsity, self.final_sparsity)

    def __call__(self, step: int) -> float:
        fall = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + fall * _half_cosine(self._progress(step))

    def with_final_sparsity(self, sparsity: float) -> CosineDecay:
        check_sparsity("sparsity", sparsity)
        # Sparsity only rises, so a lower end lowers the start too.
        initial = min(self.initial_sparsity, sparsity)
        return replace(self, initial_sparsity=initial, final_sparsity=sparsity)


def _half_cosine(progress: float) -> float:
    """Return half a cosine: exactly 1 at progress 0 and exactly 0 at progress 1."""
    return 0.0 if progress == 1 else (1 + math.cos(math.pi * progress)) / 2
