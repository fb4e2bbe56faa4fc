"""Optimal Brain Surgeon: the zeros that least squares can make up for best."""

from __future__ import annotations

import numpy as np

from keras_prune_kit._tools.symmetric import same_masks
from keras_prune_kit.criteria import removal_costs
from keras_prune_kit.reconstruction.solving import default_damping, solve
from keras_prune_kit.reconstruction.statistics import GramStatistics


def prune_in_rounds(
    statistics: GramStatistics,
    weights: np.ndarray,
    kept: int,
    rounds: int,
    damping: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights with zeros where they can be made up for best, and their mask.

    Each round keeps the same share of what was left: it scores each weight by the error
    that its removal adds once the others are solved anew, removes the lowest, and
    solves. One weight a round is the original algorithm.

    Args:
        statistics: The inputs and the outputs that they shall give.
        weights: `(inputs, outputs)`, with the bias as last row if there is one, which
            is never removed.
        kept: The number of weights to keep, without those of the bias.
        rounds: The number of rounds, at least 1.
        damping: As in `solve`.

    Source: Hassibi and Stork 1992, "Second order derivatives for network pruning:
    Optimal Brain Surgeon"; Frantar and Alistarh 2022, arXiv 2208.11580, by layers.
    """
    if damping is None:
        damping = default_damping(statistics)
    mask = weights != 0
    mask[statistics.inputs :] = True
    left = int(mask[: statistics.inputs].sum())
    kept = min(kept, left)
    solved = np.where(mask, weights, 0.0)
    # More rounds than weights to remove would remove none in some.
    rounds = max(1, min(rounds, left - kept))
    for turn in range(1, rounds + 1):
        share = (kept / left) ** (turn / rounds) if left else 0.0
        solved, scores = solve_and_score(statistics, solved, mask, damping)
        mask = _highest(scores, round(left * share), statistics.inputs)
    return solve(statistics, solved, mask, damping), mask


def solve_and_score(
    statistics: GramStatistics, weights: np.ndarray, mask: np.ndarray, damping: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `solve` does, and the error that the removal of each weight adds.

    That is `w**2 / [H^-1]_jj`. Both need the factor of `H`, which takes most of the
    time.

    Args:
        statistics: The inputs; `H` are the products of those that are kept.
        weights: The weights.
        mask: True for each weight that is left; the others score -1.
        damping: As in `solve`.
    """
    added = statistics.damping(damping)
    solved, scores = np.where(mask, weights, 0.0), np.full(weights.shape, -1.0)
    residual = statistics.residual(solved)
    for kept, columns in same_masks(mask):
        place, system = np.ix_(kept, columns), statistics.system(kept, added[kept])
        solved[place] += system.solve(residual[place])
        scores[place] = removal_costs(system, solved[place])
    return solved, scores


def _highest(scores: np.ndarray, count: int, inputs: int) -> np.ndarray:
    """Return a mask of the highest scores, and of all in the row of the bias."""
    ranked = scores[:inputs].ravel()
    order = np.argsort(-ranked, kind="stable")
    mask = np.zeros(ranked.size, bool)
    mask[order[:count]] = True
    whole = np.ones(scores.shape, bool)
    whole[:inputs] = mask.reshape(inputs, -1)
    return whole
