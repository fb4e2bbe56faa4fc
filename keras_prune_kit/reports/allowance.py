"""The accepted drop of a metric, for metrics to maximize and metrics to minimize."""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING = 1e-6  # Metrics are float32.
# Drops are compared in units of the limit; a limit below this counts as this.
LEAST_DROP = 0.001

_NO_ERROR = 1e-6  # A baseline error below this is zero in effect and has no percentage.


@dataclass(frozen=True)
class Allowance:
    """The accepted drop of the metric that decides, relative to a baseline.

    For a metric to maximize, a drop is absolute: 0.01 of an accuracy is one percentage
    point. For an error, it is relative to the baseline's: 0.01 is one percent more
    error. If the baseline's error is zero (below 1e-6), the drop is absolute too.

    Attributes:
        baseline: The baseline's value of the metric.
        max_drop: The largest accepted drop.
        mode: `"max"` if more of the metric is better, `"min"` if less is.

    Example:

    >>> allowance = Allowance(baseline=20.0, max_drop=0.01, mode="min")
    >>> allowance.limit, allowance.amount, allowance.holds(20.1)
    (20.2, '1 %', True)
    """

    baseline: float
    max_drop: float
    mode: str = "max"

    @property
    def is_relative(self) -> bool:
        """True if a drop is relative to the baseline."""
        return self.mode == "min" and abs(self.baseline) >= _NO_ERROR

    @property
    def unit(self) -> float:
        """The change of the metric that a drop of 1 stands for."""
        return abs(self.baseline) if self.is_relative else 1.0

    @property
    def limit(self) -> float:
        """The worst accepted value of the metric."""
        sign = -1 if self.mode == "max" else 1
        return self.baseline + sign * self.max_drop * self.unit

    def drop(self, score: float) -> float:
        """Return the drop from the baseline to a score; a gain is negative."""
        lost = self.baseline - score if self.mode == "max" else score - self.baseline
        return lost / self.unit

    def holds(self, score: float) -> bool:
        """Return True if a score is within the accepted drop."""
        return is_within(self.drop(score), self.max_drop)

    @property
    def amount(self) -> str:
        """The accepted drop as text: `"0.01"`, or `"1 %"` if it is relative."""
        return (
            f"{100 * self.max_drop:g} %" if self.is_relative else f"{self.max_drop:g}"
        )

    def __str__(self) -> str:
        return f"{'less' if self.mode == 'max' else 'plus'} {self.amount}"


def is_within(drop: float, limit: float) -> bool:
    """Return True if a drop is at most the limit, apart from rounding errors."""
    return drop <= limit + _ROUNDING
