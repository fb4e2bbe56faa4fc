"""How much of a metric a smaller model may lose, whichever way the metric points."""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING = 1e-6  # Metrics are float32.
# A limit near zero counts as this where a drop is measured in units of the limit.
LEAST_DROP = 0.001

_NO_ERROR = 1e-6  # Of an error that is as good as zero there is no percentage.


@dataclass(frozen=True)
class Allowance:
    """What may be lost of the metric that decides.

    Of a metric of which more is better a drop is in the metric's own unit: 0.01 of an
    accuracy is one point of a hundred. Of an error it is relative to the baseline's:
    0.01 is one percent more error; in the error's own unit where the baseline has none
    (below 1e-6).

    Attributes:
        baseline: What the model has that others are compared with.
        max_drop: What may be lost.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
    """

    baseline: float
    max_drop: float
    mode: str = "max"

    @property
    def is_relative(self) -> bool:
        """Whether a drop is relative to what the baseline has."""
        return self.mode == "min" and abs(self.baseline) >= _NO_ERROR

    @property
    def unit(self) -> float:
        """What a drop of 1 is, in the metric's own unit."""
        return abs(self.baseline) if self.is_relative else 1.0

    @property
    def limit(self) -> float:
        """The worst that holds."""
        sign = -1 if self.mode == "max" else 1
        return self.baseline + sign * self.max_drop * self.unit

    def drop(self, score: float) -> float:
        """How much of the metric is lost; what is won is below zero."""
        lost = self.baseline - score if self.mode == "max" else score - self.baseline
        return lost / self.unit

    def holds(self, score: float) -> bool:
        """Whether a score is good enough."""
        return is_within(self.drop(score), self.max_drop)

    @property
    def amount(self) -> str:
        """What may be lost, as a person says it: `"0.01"`, or `"1 %"` of an error."""
        return (
            f"{100 * self.max_drop:g} %" if self.is_relative else f"{self.max_drop:g}"
        )

    def __str__(self) -> str:
        return f"{'less' if self.mode == 'max' else 'plus'} {self.amount}"


def is_within(drop: float, limit: float) -> bool:
    """Whether a drop is no larger than the limit, but for rounding."""
    return drop <= limit + _ROUNDING
