"""Global pruning: one ranking of the weights of all layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.structures import (
    COARSE_MAX,
    coarse,
    count_zeros,
    keep_highest_parts,
)


def global_masks(weights: Sequence[PrunedWeight]) -> Iterator[np.ndarray]:
    """Yield the masks from one ranking of all weights; each keeps its best value.

    The number of zeros is the sum of those that the schedules of the weights ask for,
    but they go to the values with the lowest scores of all.

    Args:
        weights: All weights that the policy covers.

    Yields:
        One mask per weight, one at a time: all masks take a fourth of the model's size.
    """
    # All scores together would be as large as the model. The upper half of their bits
    # decides most of the ranking; only the undecided values are scored once more.
    ends = np.cumsum([weight.size for weight in weights])
    ranks = np.empty(ends[-1], np.uint16)
    parts, shapes = np.split(ranks, ends[:-1]), []
    wanted = there = final = 0
    for weight, part in zip(weights, parts, strict=True):
        kernel = weight.read_canonical()
        scores = weight.scores(kernel)
        part[:] = coarse(scores)
        # A weight without any nonzero value would cut its layer off.
        part[scores.argmax()] = COARSE_MAX
        shapes.append(kernel.shape)
        wanted += count_zeros(weight.scheduled, kernel.size)
        there += weight.existing_zeros(kernel)
        final += count_zeros(weight.final_sparsity, kernel.size)
    # A resumed run may have more zeros than are due by now; these stay, in whatever
    # layer they are.
    zeros = max(wanted, min(there, final))
    for weight in weights:
        # No weight has a target of its own here: all reach theirs together.
        weight.reached = weight.final_sparsity if zeros >= final else 0.0
    rescore = [weight.scores_where for weight in weights]
    masks = keep_highest_parts(ranks, zeros, ends[:-1], rescore)
    for weight, mask, shape in zip(weights, masks, shapes, strict=True):
        yield weight.from_canonical(mask.reshape(shape))
