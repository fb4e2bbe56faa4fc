"""Soundings: how far a model can be pruned at once, and where training should begin.

A model that is pruned at once and repaired takes seconds. How far its outputs are from
the dense model's tells how much of a loss a training can make up for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit.compression.repairing import output_divergence, repaired
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reconstruction import policy_at_once

_log = logging.getLogger(__name__)

_EXACT = 1e-12  # a divergence that is due to rounding
_UNKNOWN = 0.5  # the first density if a model cannot be repaired


@dataclass(frozen=True)
class Series:
    """Steps of pruning at once, further and further.

    Attributes:
        densities: What is left of the weights, or of the channels, 0 to 1.
        policy: Returns the policy for a density.
        followed: The divergence that a training of a few epochs can make up for.
    """

    densities: Sequence[float]
    policy: Callable[[float], PrunePolicy]
    followed: float


# Of weights, this costs some two points of accuracy.
WEIGHTS = Series(
    densities=tuple(0.6**power for power in range(1, 11)),  # 0.6 to 0.006
    policy=lambda density: policy_at_once(1 - density),
    followed=0.02,
)
# Channels are missed more: a fourth of the epochs did not make up for twice as much.
CHANNELS = Series(
    densities=(0.75, 0.5, 0.25),
    policy=lambda density: Thinning(1 - density).policy,
    followed=0.01,
)


@dataclass(frozen=True)
class Sounding:
    """A model that was pruned at once and repaired, and how far it is from before.

    Attributes:
        density: The fraction of the weights, or of the channels, that is left, 0 to 1.
        divergence: The squared error of the outputs as a part of their variance.
        holds: True if the metric is within the accepted drop.
    """

    density: float
    divergence: float
    holds: bool


def sound(
    model: Any, inputs: Any, holds: Callable[[Any], bool], series: Series
) -> list[Sounding]:
    """Prune at once, until training could not follow and the metric does not hold.

    Args:
        model: A built model. It is not changed.
        inputs: The result of `repair_samples`.
        holds: Returns True if the metric of a model is within the accepted drop.
        series: The steps.
    """
    found = []
    for density in series.densities:
        pruned, lost = _pruned(model, inputs, density, series)
        found.append(Sounding(density, lost, holds(pruned)))
        if lost > series.followed and not found[-1].holds:
            break
    return found


def _pruned(
    model: Any, inputs: Any, density: float, series: Series
) -> tuple[Any, float]:
    pruned = repaired(model, series.policy(density), inputs)
    lost = output_divergence(model, pruned, inputs)
    _log.info("%.3f are left at once: divergence %.4f", density, lost)
    return pruned, lost


def followed_density(model: Any, inputs: Any) -> float:
    """Return the lowest density that training can follow, without any metric.

    It comes from the sparse side: a repair takes time with the third power of the
    density, so that what the mildest soundings would take is most of all.

    Args:
        model: A built model. It is not changed.
        inputs: The result of `repair_samples`.

    Returns:
        The density, 0 to 1; the highest one of the soundings if it is not followed.
    """
    found: list[Sounding] = []
    for density in reversed(WEIGHTS.densities):
        _, lost = _pruned(model, inputs, density, WEIGHTS)
        found.insert(0, Sounding(density, lost, False))
        if lost <= WEIGHTS.followed:
            return first_density(found)
    return found[0].density


def first_density(soundings: list[Sounding]) -> float:
    """Return the density to begin with: the lowest that training can follow.

    Between two soundings, the divergence is a power of the density.
    """
    if not soundings:
        return _UNKNOWN
    limit = WEIGHTS.followed
    followed = [each for each in soundings if each.divergence <= limit]
    if not followed or followed[-1] is soundings[-1]:
        return soundings[-1].density
    mild, far = followed[-1], soundings[len(followed)]
    least = max(mild.divergence, _EXACT)
    part = np.log(limit / least) / np.log(far.divergence / least)
    return float(mild.density * (far.density / mild.density) ** part)
