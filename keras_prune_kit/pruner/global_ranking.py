"""One ranking of the weights of all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.structures import count_nonzero, count_zeros, keep_highest


def global_masks(weights: Sequence[PrunedWeight]) -> list[np.ndarray]:
    """The masks that are due for all weights together; each keeps its best value.

    As many values go as each weight's own schedule asks for, added up, but from
    wherever they matter least.

    Args:
        weights: All weights that the policy covers.

    Returns:
        A mask a weight.
    """
    scores, shapes = [], []
    wanted = there = final = 0
    for weight in weights:
        kernel = weight.read_canonical()
        flat = np.array(weight.scores(kernel), np.float32).ravel()
        flat[flat.argmax()] = np.inf
        scores.append(flat)
        shapes.append(kernel.shape)
        sparsity = 1 - count_nonzero(kernel) / kernel.size
        wanted += count_zeros(weight.scheduled, kernel.size)
        there += count_zeros(weight.kept(sparsity), kernel.size)
        final += count_zeros(weight.schedule.final_sparsity, kernel.size)
    zeros = max(wanted, there)
    for weight in weights:
        weight.reached = weight.schedule.final_sparsity if zeros >= final else 0.0
    mask = keep_highest(np.concatenate(scores), zeros)
    parts = np.split(mask, np.cumsum([flat.size for flat in scores])[:-1])
    return [
        weight.from_canonical(part.reshape(shape))
        for weight, part, shape in zip(weights, parts, shapes, strict=True)
    ]
