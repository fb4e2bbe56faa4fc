"""Latencies of several .tflite files, measured in turns.

A machine becomes slower and faster while it measures. In turns, that happens to all
files alike, so that the ratio of their latencies holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_prune_kit.tflite import TFLiteModel, median_milliseconds

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
    invokers = [file.invoker(x) for file in files.values()]
    taken = median_milliseconds(invokers, runs, _MOST_SECONDS)
    return dict(zip(files, taken, strict=True))
