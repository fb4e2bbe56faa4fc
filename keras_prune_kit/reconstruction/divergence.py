"""The distance of a model's outputs from those of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.layer_inputs.model_inputs import Batches


def divergence(wanted: Any, given: Any) -> float:
    """Return the squared difference of outputs, relative to the variance of each.

    Raises:
        ValueError: If they are not of the same shapes.
    """
    a, b = flat_outputs(wanted), flat_outputs(given)
    shapes = [[array.shape for array in outputs] for outputs in (a, b)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "The outputs of pruned and dense_model are of the same shapes. Received: "
            f"{shapes[1]} and {shapes[0]}."
        )
    return sum(
        float(np.mean((one - other) ** 2) / (one.var() or 1.0))
        for one, other in zip(a, b, strict=True)
    )


def flat_outputs(outputs: Any) -> list[np.ndarray]:
    """Return the arrays of a nest of outputs, dicts by key."""
    if isinstance(outputs, dict):
        outputs = [outputs[key] for key in sorted(outputs)]
    if isinstance(outputs, list | tuple):
        return [array for item in outputs for array in flat_outputs(item)]
    return [np.asarray(outputs, np.float64)]


def outputs_in_batches(
    model: Any,
    batches: Batches,
    layers: Sequence[Any] = (),
    seen: Callable[[Any, Any], bool] = lambda layer, arrays: False,
) -> list[np.ndarray]:
    """Return each output for all samples, without its shape.

    Args:
        model: A built model.
        batches: Its inputs.
        layers: The layers to watch, as in `_keras.watched_pass`.
        seen: As there; returns False, as no pass may end early.
    """
    passes = [_keras.watched_pass(model, x, layers, seen) for x in batches.inputs]
    parts = zip(*(flat_outputs(outputs) for outputs in passes), strict=True)
    return [np.concatenate([array.ravel() for array in one]) for one in parts]
