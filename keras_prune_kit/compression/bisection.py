"""Which settings to try, one after another: no model, numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports.tables import percent
from keras_prune_kit.schedules import Fraction, PolynomialDecay

_RAMP = Fraction(0.6)  # of an attempt; the rest of its steps win back what it cost
_DENSEST = 0.5
_NEXT_DENSITY = 0.6  # times that of the sparsest that held, where all did

# The fraction to keep first falls with the root of all steps. On the MNIST CNN some
# 24,000 steps allow 1.3 %.
_DENSITY_OF_ONE_STEP = 2.0
_DENSITIES = (0.01, 0.25)
_DENSITY_OF_UNKNOWN_STEPS = 0.05


@dataclass(frozen=True)
class Setting:
    """What one attempt does.

    Attributes:
        sought: The policy that was asked for, or the final sparsity that the search
            chose.
        quantization: The quantization of the file.
        weight_bits: Bits of weights in quantization-aware training; `None` quantizes
            after training.
    """

    sought: PrunePolicy | float
    quantization: str
    weight_bits: int | None = None

    def policy(self, begin: float) -> PrunePolicy:
        """What to prune, from a model of which some part is zero already."""
        if isinstance(self.sought, PrunePolicy):
            return self.sought
        ramp = PolynomialDecay(min(begin, self.sought), self.sought, end_step=_RAMP)
        return PrunePolicy(ramp, scope="global")

    @property
    def numbers(self) -> str:
        """What the weights are in the file."""
        if self.weight_bits is not None:
            return f"{self.weight_bits}-bit QAT"
        return "float32" if self.quantization == "none" else self.quantization

    def __str__(self) -> str:
        if isinstance(self.sought, PrunePolicy):
            return f"your policy, {self.numbers}"
        return f"{percent(self.sought)}, {self.numbers}"


class Bisection:
    """Looks for the highest sparsity that holds, the highest one first.

    While none holds, twice as many weights stay, then four times, then eight times as
    many. Later the fraction that stays is halved on a logarithmic scale, between the
    sparsest setting that held and the least sparse one that did not.

    Args:
        quantization: The quantization of all settings.
        weight_bits: Likewise.
        steps: All steps there are: the more, the sparser it starts. `None` if nobody
            knows.
        attempts: How many settings to try.
    """

    def __init__(
        self,
        quantization: str,
        weight_bits: int | None,
        steps: int | None,
        attempts: int,
    ) -> None:
        self._quantization = quantization
        self._weight_bits = weight_bits
        self._held: float | None = None
        self._failed: float | None = None
        self._failures = 0
        self._first = _DENSITY_OF_UNKNOWN_STEPS
        if steps is not None:
            least, most = _DENSITIES
            self._first = min(max(_DENSITY_OF_ONE_STEP / math.sqrt(steps), least), most)
        self.attempts = attempts

    def next(self) -> Setting | None:
        """The setting to try now."""
        sparsity = round(1 - self._density(), 4)
        return Setting(sparsity, self._quantization, self._weight_bits)

    def tell(self, setting: Setting, holds: bool) -> None:
        """Says whether a setting held."""
        if isinstance(setting.sought, PrunePolicy):
            raise TypeError(f"A bisection has no policies. Received: {setting}.")
        if holds:
            self._held = 1 - setting.sought
        else:
            self._failed = 1 - setting.sought
            self._failures += 1

    def _density(self) -> float:
        if self._held is None:
            if self._failed is None:
                return self._first
            return min(self._failed * 2**self._failures, _DENSEST)
        if self._failed is None:
            return self._held * _NEXT_DENSITY
        return math.sqrt(self._held * self._failed)


class Ladder:
    """Goes through settings, the strongest first, until one holds.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._left = list(settings)
        self.attempts = len(self._left)

    def next(self) -> Setting | None:
        """The setting to try now; `None` once one held."""
        return self._left.pop(0) if self._left else None

    def tell(self, setting: Setting, holds: bool) -> None:
        """Says whether a setting held."""
        if holds:
            self._left.clear()
