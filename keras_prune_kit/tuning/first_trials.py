"""The first trials of a search, near the density that a repair without training finds.

Without them, most of the first trials are far from the front: an oracle samples the
whole search space before it knows anything of the model.
"""

from __future__ import annotations

from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.hyperparameters import Choice, Float

from keras_prune_kit.compression.bisection import NEXT_DENSITY

# Of a training of few epochs. The mildest comes first, as the others go on from it.
_FACTORS = tuple(NEXT_DENSITY**power for power in (-3, -2, -1, 0, 1))
_DENSITY = "density_"


def first_values(space: Any, density: float) -> list[dict[str, Any]]:
    """Return the hyperparameters of the first trials, the mildest first.

    All layers have the same density, and the last quantization, which makes the
    smallest file.

    Args:
        space: The search space, `keras_tuner.HyperParameters`.
        density: The lowest density that training can follow, 0 to 1.
    """
    found: list[dict[str, Any]] = []
    for factor in _FACTORS:
        values = {each.name: _value(each, density * factor) for each in space.space}
        if values not in found:
            found.append(values)
    return found


def _value(parameter: Any, density: float) -> Any:
    # A value that the user has fixed is of neither class.
    if isinstance(parameter, Float) and parameter.name.startswith(_DENSITY):
        return float(np.clip(density, parameter.min_value, parameter.max_value))
    if isinstance(parameter, Choice) and parameter.name == "quantization":
        return parameter.values[-1]
    return parameter.default


def begin_with(oracle: Any, first: list[dict[str, Any]]) -> None:
    """Let an oracle try some hyperparameters before its random ones.

    At most half of its trials are among them. All oracles of KerasTuner that sample at
    first do so by one method, in which this steps in.

    Args:
        oracle: An oracle with random trials.
        first: The hyperparameters of these trials.
    """
    random_values = oracle._random_values
    if oracle.max_trials:
        first = first[: oracle.max_trials // 2]

    def values() -> dict[str, Any] | None:
        tried = [each.hyperparameters.values for each in oracle.trials.values()]
        for each in first:
            if not any(each.items() <= values.items() for values in tried):
                return dict(each)
        return random_values()

    oracle._random_values = values


def has_densities(space: Any) -> bool:
    """Return True if a search space has densities, not a policy of one's own.

    Args:
        space: `keras_tuner.HyperParameters`.
    """
    return any(each.name.startswith(_DENSITY) for each in space.space)


def can_begin(oracle: Any) -> bool:
    """Return True for an oracle with random trials that has not begun yet.

    A client of a chief oracle has none, and a grid search has an order of its own.
    """
    is_random = isinstance(oracle, keras_tuner.Oracle) and not isinstance(
        oracle, keras_tuner.oracles.GridSearchOracle
    )
    # An instance attribute shows that `begin_with` was here before.
    return is_random and "_random_values" not in vars(oracle)
