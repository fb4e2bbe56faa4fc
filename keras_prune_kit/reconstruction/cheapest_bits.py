"""The choice of the bits of each layer: the fewest in all, for what they may do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of a limit, in which divergences are counted.
_PARTS = 10_000


@dataclass(frozen=True)
class ScoredLayer:
    """The divergence of a model's outputs once the weights of one layer are rounded.

    Attributes:
        path: The path of the layer.
        weights: The number of its weights that are not zero.
        divergences: The divergence of the outputs, by bits of a weight, the most first.
            That of the most bits is 0.
    """

    path: str
    weights: int
    divergences: dict[int, float]


def cheapest_bits(layers: Sequence[ScoredLayer], most: float) -> dict[str, int]:
    """Return the fewest bits of all weights, with divergences that add up to a limit.

    It is the knapsack problem, solved for divergences in ten-thousandths of the limit,
    rounded up.

    Args:
        layers: The layers.
        most: The limit.

    Returns:
        The bits of each layer, by path.
    """
    costs, choices = np.zeros(_PARTS + 1), []
    for layer in layers:
        costs, chosen = _with_layer(costs, layer, most)
        choices.append(chosen)
    found, left = [], _PARTS
    for layer, chosen in zip(reversed(layers), reversed(choices), strict=True):
        bits = int(chosen[left])
        found.append((layer.path, bits))
        left -= _parts(layer.divergences[bits], most)
    return dict(reversed(found))


def _with_layer(
    costs: np.ndarray, layer: ScoredLayer, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the fewest bits of all weights with one more layer, and its own bits.

    Both, like the costs without it, for each number of parts of the limit.
    """
    least, chosen = np.full(_PARTS + 1, np.inf), np.zeros(_PARTS + 1, int)
    for bits, divergence in layer.divergences.items():
        parts = _parts(divergence, most)
        tried = np.full(_PARTS + 1, np.inf)
        tried[parts:] = costs[: _PARTS + 1 - parts] + layer.weights * bits
        chosen = np.where(tried < least, bits, chosen)
        least = np.minimum(tried, least)
    return least, chosen


def _parts(divergence: float, most: float) -> int:
    """Return a divergence in parts of the limit, rounded up; one too many if above."""
    if divergence <= 0:
        return 0
    return math.ceil(divergence / most * _PARTS) if divergence <= most else _PARTS + 1
