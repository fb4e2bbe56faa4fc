"""Budgets: how many channels must leave for a speed or a number of multiplications."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from keras_prune_kit.channels import without
from keras_prune_kit.compression.attempt import export
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.measuring.latency import latencies
from keras_prune_kit.reports import CompressionReport

_log = logging.getLogger(__name__)

# More of them would make the rounding to multiples visible in each step.
_STEPS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.6875, 0.75, 0.8125, 0.875, 0.9375)
_RUNS = 60
_TOLERANCE = 1.001  # The fraction of the channels has four digits.
_NOISE = 1.15  # between two measurements of the same files on a busy machine


def thinning_for_macs(model: Any, macs: float, multiple_of: int) -> Thinning:
    """Return the mildest thinning that leaves at most a share of the multiplications.

    Args:
        model: A built model.
        macs: The share that may be left, above 0 and below 1.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.

    Raises:
        ValueError: If it cannot be reached, or no channel can leave.
    """
    chooser = Thinning(_STEPS[0], multiple_of).chooser(model)
    if chooser.found.unknown:
        raise ValueError(
            "macs needs the multiplications of all layers. Received: "
            f"{', '.join(chooser.found.unknown[:3])}, whose are not known. Use "
            "speedup=, which is measured."
        )
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
    chooser = Thinning(_STEPS[0], multiple_of).chooser(recipe.model)
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


def check_macs(report: CompressionReport, macs: float) -> None:
    """Warn if more multiplications are left than were asked for."""
    before, after = report.stages[0].macs, report.stages[-2].macs
    if before and after and after > macs * before * _TOLERANCE:
        warnings.warn(
            f"macs={macs:.4g} is missed: {after / before:.3g} of the multiplications "
            "are left, as some channels that were zeroed cannot leave. "
            "print(kpk.channel_groups(report.model)) shows what is left.",
            stacklevel=3,
        )


def check_speedup(report: CompressionReport, speedup: float) -> None:
    """Warn if the file that ships is slower than was asked for."""
    reached = report.speedup
    if reached is not None and reached < speedup / _NOISE:
        warnings.warn(
            f"speedup={speedup:.4g} is missed: the file that ships is measured "
            f"{reached:.3g} times as fast as that of the whole model. Ask for more, or "
            "measure again on a quieter machine.",
            stacklevel=3,
        )
