"""Latencies of several .tflite files, measured in turns.

A machine becomes slower and faster while it measures. In turns, that happens to all
files alike, so that the ratio of their latencies holds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_prune_kit.tflite import TFLiteModel

_WARM_UP_RUNS = 5
_MOST_SECONDS = 20.0  # for all files together


def latencies(
    files: Mapping[str, TFLiteModel], x: Any, runs: int = 50
) -> dict[str, float]:
    """Return the median latency of each file for one sample, with one thread.

    Args:
        files: The files by name.
        x: Inputs; only the first sample is used.
        runs: The number of timed runs of each file. Defaults to 50; fewer if they
            would take more than twenty seconds.

    Returns:
        Milliseconds by name.
    """
    invokers = {name: file.invoker(x) for name, file in files.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for invoke in invokers.values():
        for _ in range(_WARM_UP_RUNS):
            invoke()
    start = time.perf_counter()
    for _ in range(runs):
        for name, invoke in invokers.items():
            before = time.perf_counter()
            invoke()
            times[name].append(time.perf_counter() - before)
        if time.perf_counter() - start > _MOST_SECONDS:
            break
    # Not the mean, which a single interruption by the system would raise.
    return {name: 1000 * float(np.median(taken)) for name, taken in times.items()}
