"""The distance of a model's outputs from those of another."""

from __future__ import annotations

from typing import Any

import numpy as np


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
