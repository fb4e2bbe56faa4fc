"""Budgets: how many channels must leave for a speed or a number of multiplications."""

from __future__ import annotations

import logging
from typing import Any

from keras_prune_kit.channels import chooser_for, without
from keras_prune_kit.compression.attempt import export
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.measuring.latency import latencies

_log = logging.getLogger(__name__)

# More of them would make the rounding to multiples visible in each step.
_STEPS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.6875, 0.75, 0.8125, 0.875, 0.9375)
_RUNS = 60


def thinning_for_macs(model: Any, macs: float, multiple_of: int) -> Thinning:
    """Return the mildest thinning that leaves at most a share of the multiplications.

    Args:
        model: A built model.
        macs: The share that may be left, above 0 and below 1.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.

    Raises:
        ValueError: If it cannot be reached, or no channel can leave.
    """
    chooser = chooser_for(model, multiple_of=multiple_of, with_coupled=False)
    return Thinning(round(chooser.fraction_for(macs), 4), multiple_of)


def thinning_for_speedup(
    recipe: Recipe, quantization: str, speedup: float, multiple_of: int
) -> Thinning:
    """Return the mildest thinning whose .tflite is measured to be fast enough.

    The latencies of untrained models are those of trained ones, so each step costs an
    export and no training. Files are measured in turns with that of the whole model.

    Args:
        recipe: The job.
        quantization: The quantization of the files.
        speedup: The latency of the whole model's file divided by that of the result, at
            least.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.

    Raises:
        ValueError: If it cannot be reached, or no channel can leave.
    """
    chooser = chooser_for(recipe.model, multiple_of=multiple_of, with_coupled=False)
    whole = export(recipe.model, quantization, recipe.representative_data)
    sample = recipe.evaluation.inputs(1)
    low, high, best = 0, len(_STEPS) - 1, 0.0
    found: int | None = None
    # Latency falls with each step, so that halving the interval finds the first.
    while low <= high:
        middle = (low + high) // 2
        small = without(chooser.found, chooser.stays(_STEPS[middle]))
        file = export(small, quantization, recipe.representative_data)
        taken = latencies({"whole": whole, "small": file}, sample, _RUNS)
        reached = taken["whole"] / taken["small"]
        _log.info("%.4g of the channels out: %.2fx faster", _STEPS[middle], reached)
        best = max(best, reached)
        if reached >= speedup:
            found, high = middle, middle - 1
        else:
            low = middle + 1
    if found is None:
        raise ValueError(
            f"speedup={speedup:.4g} cannot be reached: without "
            f"{_STEPS[-1]:.4g} of the channels that can leave, the {quantization} file "
            f"is measured {best:.2f} times as fast as that of the whole model. Ask for "
            "less, or try another quantization."
        )
    return Thinning(_STEPS[found], multiple_of)
