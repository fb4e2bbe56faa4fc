"""One ranking of the weights of all layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.structures import count_nonzero, count_zeros, keep_highest_parts


def global_masks(weights: Sequence[PrunedWeight]) -> Iterator[np.ndarray]:
    """The masks that are due for all weights together; each keeps its best value.

    As many values go as each weight's own schedule asks for, added up, but from
    wherever they matter least.

    Args:
        weights: All weights that the policy covers.

    Yields:
        A mask a weight, one by one: together they are a fourth of the model.
    """
    # One array from the start: a copy of all scores would be as large as the model.
    ends = np.cumsum([weight.size for weight in weights])
    scores = np.empty(ends[-1], np.float32)
    parts, shapes = np.split(scores, ends[:-1]), []
    wanted = there = final = 0
    for weight, part in zip(weights, parts, strict=True):
        kernel = weight.read_canonical()
        part[:] = weight.scores(kernel).ravel()
        part[part.argmax()] = np.inf
        shapes.append(kernel.shape)
        sparsity = 1 - count_nonzero(kernel) / kernel.size
        wanted += count_zeros(weight.scheduled, kernel.size)
        there += count_zeros(weight.kept(sparsity), kernel.size)
        final += count_zeros(weight.schedule.final_sparsity, kernel.size)
    zeros = max(wanted, there)
    for weight in weights:
        weight.reached = weight.schedule.final_sparsity if zeros >= final else 0.0
    masks = keep_highest_parts(scores, zeros, ends[:-1])
    for weight, mask, shape in zip(weights, masks, shapes, strict=True):
        yield weight.from_canonical(mask.reshape(shape))
