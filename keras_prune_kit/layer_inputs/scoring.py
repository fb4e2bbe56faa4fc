"""Scores of kernels by criteria that need their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.criteria import Criterion, inputs_needed
from keras_prune_kit.layer_inputs.kernels import Kernel, find_kernels
from keras_prune_kit.layer_inputs.means import InputMeans
from keras_prune_kit.layer_inputs.model_inputs import Batches


def scores_by_inputs(
    model: Any, batches: Batches, criteria: Mapping[int, Criterion]
) -> dict[int, np.ndarray]:
    """Return the scores of kernels, from a pass over a sample.

    Args:
        model: A built model.
        batches: The sample.
        criteria: Criteria that need inputs, by the id of the variable they score.

    Returns:
        Scores in the layout of structures, by the id of the variable; none for a
        kernel whose inputs are not understood or not seen.

    Raises:
        ValueError: If an input or a weight is not finite.
    """
    model = _keras.trained_model(model)
    means: dict[int, InputMeans] = {}
    by_layer: dict[int, list[InputMeans]] = {}
    layers = []
    for kernel in find_kernels(model):
        if not isinstance(kernel, Kernel):
            continue
        criterion = criteria.get(id(kernel.weight.variable))
        needed = criterion and inputs_needed(criterion)
        if needed:
            found = InputMeans(kernel, needed)
            means[id(kernel.weight.variable)] = found
            by_layer.setdefault(id(kernel.weight.layer), []).append(found)
            layers.append(kernel.weight.layer)

    def seen(layer: Any, arrays: list[np.ndarray | None]) -> bool:
        for found in by_layer[id(layer)]:
            found.take(arrays)
        return False

    for x in batches.inputs:
        _keras.watched_pass(model, x, layers, seen)
    return {
        key: found.scores(criteria[key])
        for key, found in means.items()
        if found.is_seen
    }
