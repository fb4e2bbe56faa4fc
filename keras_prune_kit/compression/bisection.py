"""The choice of the next density to try, and the epochs of each attempt."""

from __future__ import annotations

import math

from keras_prune_kit.criteria import lamp
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.schedules import Fraction, PolynomialDecay

LEAST_SHARE = 2  # epochs of an attempt
_SHARE = 4  # epochs of an attempt, if there are enough for many
_FEW_ATTEMPTS, _MOST_ATTEMPTS = 4, 6
_UNTRAINED_ATTEMPTS = 6  # Each takes seconds.

_RAMP = Fraction(0.5)  # of an attempt; the metric recovers in its remaining steps
NEXT_DENSITY = 0.6  # times the previous density, as long as all settings held


def ramp_to(sparsity: float, begin: float = 0.0) -> PrunePolicy:
    """Return the policy of a searched sparsity, which ranks all layers together.

    Args:
        sparsity: The final sparsity, 0 to 1.
        begin: The sparsity to begin with. Defaults to 0.
    """
    schedule = PolynomialDecay(min(begin, sparsity), sparsity, end_step=_RAMP)
    return PrunePolicy(schedule, criterion=lamp, scope="global")


class Densities:
    """A search for the lowest density that holds.

    As long as all hold, the density is multiplied by 0.6. After one that does not, it
    is bisected on a logarithmic scale, between the lowest that held and the highest
    that did not.

    Args:
        first: The first density, 0 to 1.
        held: A density that is known to hold. Defaults to 1, the whole model.
        failed: One that is known not to. Defaults to `None`.
    """

    def __init__(
        self, first: float, held: float = 1.0, failed: float | None = None
    ) -> None:
        self._first: float | None = first
        self._held = held
        self._failed = failed

    def next(self) -> float:
        """Return the density to try now, 0 to 1."""
        if self._first is not None:
            return self._first
        if self._failed is None:
            return self._held * NEXT_DENSITY
        # The geometric mean halves the interval on a logarithmic scale.
        return math.sqrt(self._held * self._failed)

    def tell(self, density: float, holds: bool) -> None:
        """Record whether a density held."""
        self._first = None
        if holds:
            self._held = density
        else:
            self._failed = density


def attempts_in(epochs: int) -> int:
    """Return how many attempts share some epochs; 0 epochs are attempts untrained."""
    if not epochs:
        return _UNTRAINED_ATTEMPTS
    few = min(_FEW_ATTEMPTS, epochs // LEAST_SHARE)
    return max(few, min(_MOST_ATTEMPTS, epochs // _SHARE))


def shares(epochs: int, attempts: int) -> list[int]:
    """Return the epochs of each attempt; what cannot be shared is the first's."""
    each = epochs // attempts
    return [epochs - (attempts - 1) * each, *[each] * (attempts - 1)]
