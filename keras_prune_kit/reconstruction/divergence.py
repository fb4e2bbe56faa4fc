"""The distance of a model's outputs from those of another."""

from __future__ import annotations

from typing import Any

import numpy as np


def divergence(wanted: Any, given: Any) -> float:
    """Return the squared difference of outputs, relative to the variance of each.

    Raises:
        ValueError: If they are not of the same shapes.
    """
    a, b = _flat(wanted), _flat(given)
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


def _flat(outputs: Any) -> list[np.ndarray]:
    if isinstance(outputs, dict):
        outputs = [outputs[key] for key in sorted(outputs)]
    if isinstance(outputs, list | tuple):
        return [array for item in outputs for array in _flat(item)]
    return [np.asarray(outputs, np.float64)]
