"""Search strategies: the settings of the next attempt, from the earlier results."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.criteria import lamp
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports.tables import percent
from keras_prune_kit.schedules import Fraction, PolynomialDecay

LEAST_SHARE = 2  # epochs of an attempt
_SHARE = 4  # epochs of an attempt, if there are enough for several
_MOST_ATTEMPTS = 6
_UNTRAINED_ATTEMPTS = 6  # Each takes seconds.

_RAMP = Fraction(0.5)  # of an attempt; the metric recovers in its remaining steps
_NEXT_DENSITY = 0.6  # times the previous density, as long as all settings held


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
    """

    def __init__(self, first: float, held: float = 1.0) -> None:
        self._first: float | None = first
        self._held = held
        self._failed: float | None = None

    def next(self) -> float:
        """Return the density to try now, 0 to 1."""
        if self._first is not None:
            return self._first
        if self._failed is None:
            return self._held * _NEXT_DENSITY
        # The geometric mean halves the interval on a logarithmic scale.
        return math.sqrt(self._held * self._failed)

    def tell(self, density: float, holds: bool) -> None:
        """Record whether a density held."""
        self._first = None
        if holds:
            self._held = density
        else:
            self._failed = density


class Bisection:
    """Search for the highest sparsity that holds.

    A setting holds if its file stays within the accepted drop of the metric.

    Args:
        quantization: The quantization of all settings.
        weight_bits: The bits per weight of all settings, as in `Setting`.
        densities: The search for the density, from its start.
        attempts: The number of settings to try.

    Attributes:
        sparsity: The sparsity of the last setting, 0 to 1.
    """

    def __init__(
        self,
        quantization: str,
        weight_bits: int | None,
        densities: Densities,
        attempts: int,
    ) -> None:
        self.sparsity = 0.0
        self._quantization = quantization
        self._weight_bits = weight_bits
        self._densities = densities
        self.attempts = attempts

    def next(self) -> Setting | None:
        """Return the setting to try now."""
        # To as many digits as the report shows.
        self.sparsity = round(1 - self._densities.next(), 4)
        policy = ramp_to(self.sparsity)
        return Setting(policy, self._quantization, self._weight_bits)

    def tell(self, holds: bool) -> None:
        """Record whether the file of the last setting held."""
        self._densities.tell(1 - self.sparsity, holds)

    def describe(self, setting: Setting) -> str:
        """Return the name of the last setting, such as `"98.5 %, 4-bit QAT"`."""
        return f"{percent(self.sparsity)}, {setting.number_format}"


class Ladder:
    """Trial of given settings in their order, the strongest first, until one holds.

    Args:
        settings: The settings to try.

    Attributes:
        sparsity: `None`, as the policies determine the sparsity.
    """

    sparsity = None

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._left = list(settings)
        self.attempts = len(self._left)

    def next(self) -> Setting | None:
        """Return the setting to try now; `None` after one that held."""
        return self._left.pop(0) if self._left else None

    def tell(self, holds: bool) -> None:
        """Record whether the file of the last setting held."""
        if holds:
            self._left.clear()

    def describe(self, setting: Setting) -> str:
        """Return the name of a setting in the report."""
        return f"your policy, {setting.number_format}"


def attempts_in(epochs: int) -> int:
    """Return how many attempts share some epochs; 0 epochs are attempts untrained."""
    return min(_MOST_ATTEMPTS, epochs // LEAST_SHARE) if epochs else _UNTRAINED_ATTEMPTS


def shares(epochs: int, attempts: int) -> list[int]:
    """Return the epochs of each attempt.

    The first gets half of them or more, as the others start from its weights.
    """
    if not epochs:
        return [0] * attempts
    later = attempts - 1
    share = max(LEAST_SHARE, epochs // (2 * later)) if later else 0
    return [epochs - later * share, *[share] * later]
