"""Checks of arrays `(x, y)`, and the split into training and held-out samples."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from keras_prune_kit._keras.datasets import map_arrays
from keras_prune_kit._tools.nests import leaves

SEED = 0  # Always the same samples, so that runs can be compared.
HELD_OUT = 0.1
FEWEST = 10

_log = logging.getLogger(__name__)


def check_arrays(data: tuple[Any, ...], origin: str) -> None:
    """Raise a `ValueError` unless all arrays are numeric and of the same length.

    Args:
        data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`: arrays or nests of them.
        origin: Name of the data in messages.
    """
    names = ("x", "y", "sample_weight")
    counts = {}
    for name, item in zip(names, data, strict=False):
        for array in leaves(item):
            _check_numbers(array, name, origin)
            counts[name] = len(array)
            if len(array) != counts["x"]:
                raise ValueError(
                    f"{origin} must have the same number of samples in all arrays. "
                    f"Received: {counts['x']:,} in x, {len(array):,} in {name}."
                )
    if not counts["x"]:
        raise ValueError(f"{origin} must have at least one sample. Received: none.")


def hold_out(data: tuple[Any, ...], origin: str) -> tuple[Any, Any]:
    """Split arrays into training data and a held-out tenth to choose the epoch with.

    Args:
        data: As for `check_arrays`.
        origin: As for `check_arrays`.

    Raises:
        ValueError: If there are fewer than ten samples.
    """
    count = len(next(leaves(data)))
    tell_held_out(count, origin)
    order = np.random.default_rng(SEED).permutation(count)
    chosen = order[: int(HELD_OUT * count)]
    # As a mask, so that both parts keep the order of the samples.
    is_held_out = np.isin(np.arange(count), chosen)
    training = map_arrays(lambda array: array[~is_held_out], data)
    return training, map_arrays(lambda array: array[is_held_out], data)


def tell_held_out(count: int, origin: str) -> None:
    """Log how many samples are held out to choose the epoch.

    Raises:
        ValueError: If a tenth of the samples is less than one.
    """
    if count < FEWEST:
        raise ValueError(
            f"A tenth of {origin} is held out to choose the best epoch and to measure "
            f"with, so it needs at least {FEWEST} samples. Received: {count}. Add "
            "samples, or pass --validation DATA."
        )
    _log.info(
        "Of the %s samples of %s, a tenth (%s) is held out to choose the best epoch "
        "and to measure with. They are always the same (seed %d). A model that was "
        "trained on them before scores too well on them.",
        f"{count:,}",
        origin,
        f"{int(HELD_OUT * count):,}",
        SEED,
    )


def _check_numbers(array: Any, name: str, origin: str) -> None:
    if not hasattr(array, "dtype"):
        received = type(array).__name__
    elif array.dtype.kind not in "biuf" or not array.ndim:
        received = f"an array of {array.dtype} of shape {array.shape}"
    elif array.dtype.kind == "f" and not np.isfinite(array).all():
        received = "NaN or infinity"
    else:
        return
    raise ValueError(
        f"{origin} must have arrays of finite numbers, one row per sample. Received "
        f"for {name}: {received}."
    )
