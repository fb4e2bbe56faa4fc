"""Timing of runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

_WARM_UP_RUNS = 5


def median_milliseconds(
    invokers: Sequence[Callable[[], None]], runs: int, most_seconds: float = math.inf
) -> list[float]:
    """Return the median time of each of several functions, called in turns.

    Args:
        invokers: The functions.
        runs: The number of timed runs of each.
        most_seconds: The time after which there are no further runs. Defaults to
            infinity.
    """
    for invoke in invokers:
        for _ in range(_WARM_UP_RUNS):
            invoke()
    times: list[list[float]] = [[] for _ in invokers]
    start = time.perf_counter()
    for _ in range(runs):
        for invoke, taken in zip(invokers, times, strict=True):
            before = time.perf_counter()
            invoke()
            taken.append(time.perf_counter() - before)
        if time.perf_counter() - start > most_seconds:
            break
    # Not the mean, which a single interruption by the system would raise.
    return [1000 * float(np.median(taken)) for taken in times]
