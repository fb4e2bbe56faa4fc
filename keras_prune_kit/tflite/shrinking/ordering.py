"""Orders in which channels with similar zeros are adjacent."""

from __future__ import annotations

import numpy as np

_ROUNDS = 10  # Few paths still get shorter after five.
_BLOCK = 4096  # Weights at a time, as float32 takes four times the memory of a mask.


def by_count(is_nonzero: np.ndarray) -> np.ndarray:
    """Return the order of channels by their number of nonzero weights.

    Args:
        is_nonzero: A bool array `(channels, weights)`.

    Example:

    >>> by_count(np.array([[True, True], [False, False], [False, True]])).tolist()
    [1, 2, 0]
    """
    # Stable, so that sorting a second time changes nothing.
    return np.count_nonzero(is_nonzero, axis=1).argsort(kind="stable")


def by_similarity(is_nonzero: np.ndarray) -> np.ndarray:
    """Return an order in which neighbours have most of their zeros in common.

    A short path through all channels: the distance of two is the number of weights of
    which only one is zero. It starts at the channel with the most zeros, goes on to the
    nearest one left, and gets shorter as long as the reversal of a part of it helps.

    Args:
        is_nonzero: A bool array `(channels, weights)`.

    Source: Croes 1958, "A Method for Solving Traveling-Salesman Problems" (2-opt).

    Example:

    >>> rows = np.array([[1, 1, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]], bool)
    >>> by_similarity(rows).tolist()
    [1, 2, 0]
    """
    distances = _distances(is_nonzero)
    path = _nearest_first(distances, int(np.count_nonzero(is_nonzero, axis=1).argmin()))
    for _ in range(_ROUNDS):
        before = path.copy()
        for start in range(len(path) - 1):
            _reverse_best(distances, path, start)
        if np.array_equal(path, before):
            break
    return path


def _distances(is_nonzero: np.ndarray) -> np.ndarray:
    channels, weights = is_nonzero.shape
    common = np.zeros((channels, channels), np.float32)
    for start in range(0, weights, _BLOCK):
        block = is_nonzero[:, start : start + _BLOCK].astype(np.float32)
        common += block @ block.T
    counts = common.diagonal()
    return counts[:, None] + counts - 2 * common


def _nearest_first(distances: np.ndarray, start: int) -> np.ndarray:
    path, is_left = [start], np.ones(len(distances), bool)
    for _ in range(len(distances) - 1):
        is_left[path[-1]] = False
        path.append(int(np.where(is_left, distances[path[-1]], np.inf).argmin()))
    return np.array(path)


def _reverse_best(distances: np.ndarray, path: np.ndarray, start: int) -> None:
    """Reverse the part from `start` on whose reversal shortens the path the most."""
    first, last = path[start], path[start + 1 :]  # Of each part; all but the longest
    following = path[start + 2 :]  # have a channel that follows.
    gains = np.zeros(len(last), np.float32)
    gains[:-1] = distances[last[:-1], following] - distances[first, following]
    if start > 0:
        before = path[start - 1]
        gains += distances[before, first] - distances[before, last]
    best = int(gains.argmax())
    if gains[best] > 0:
        part = slice(start, start + best + 2)
        path[part] = path[part][::-1].copy()
