"""Ranking: which of many scores are the highest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from keras_prune_kit.checks import check_number

_SAMPLE = 16384
_PIECE = 1 << 18


def count_zeros(sparsity: float, size: int) -> int:
    """How many of `size` weights go: `round(sparsity * size)`, but never all."""
    check_number("sparsity", sparsity, 0, 1)
    return max(0, min(round(sparsity * size), size - 1))


def count_nonzero(values: np.ndarray) -> int:
    """`np.count_nonzero`, four times as fast on floats."""
    return int(np.count_nonzero(values != 0))


def keep_highest(scores: np.ndarray, zeros: int) -> np.ndarray:
    """A mask with exactly `zeros` entries `False`, at the lowest scores.

    Of equal scores the one that comes first stays. Selection, not sorting, so the
    time grows with the size alone.
    """
    (mask,) = keep_highest_parts(scores.ravel(), zeros, ())
    return mask.reshape(scores.shape)


def keep_highest_parts(
    scores: np.ndarray, zeros: int, ends: Sequence[int] | np.ndarray
) -> Iterator[np.ndarray]:
    """The same for parts of a flat array that are ranked together, one by one.

    Args:
        scores: The scores of all parts.
        zeros: Entries that are `False` in all masks together.
        ends: Where each part ends, but for the last.
    """
    parts = np.split(scores, ends)
    if zeros == 0:
        yield from (np.ones(part.shape, bool) for part in parts)
        return
    threshold = _nth_lowest(scores, zeros - 1)
    missing = scores.size - zeros - _count(np.greater, scores, threshold)
    for part in parts:
        mask = part > threshold
        for piece, kept in zip(_pieces(part), _pieces(mask), strict=True):
            if not missing:
                break
            ties = np.flatnonzero(piece == threshold)[:missing]
            kept[ties] = True
            missing -= ties.size
        yield mask


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """Views that fit into a cache: what is computed of each takes no memory."""
    return (values[at : at + _PIECE] for at in range(0, values.size, _PIECE))


def _nth_lowest(values: np.ndarray, n: int) -> np.floating:
    """The value of rank `n`; of a large array only a narrow band is partitioned.

    A sample brackets the rank between two values. Equal values, such as the zeros of
    a pruned kernel, are counted and never partitioned, which is slow for them. If the
    sample was wrong the whole array is partitioned, so the result is always exact.
    """
    if values.size <= 2 * _SAMPLE:
        return np.partition(values, n)[n]
    sample = np.sort(values[:: values.size // _SAMPLE])
    stride = values.size / sample.size
    rank = min(round(n / stride), sample.size - 1)
    # One exact count tells how far off the sample's ranks are around here; what is
    # left is the noise of counting that many more (five standard deviations of it).
    off = round((n - _count(np.less_equal, values, sample[rank])) / stride)
    margin = 8 + math.ceil(5 * math.sqrt(abs(off)))
    low, high = sample.take((rank + off - margin, rank + off + margin), mode="clip")
    up_to_low = _count(np.less_equal, values, low)
    if n < up_to_low:
        is_right = n >= _count(np.less, values, low)
        return low if is_right else np.partition(values, n)[n]
    band = np.concatenate([v[(v > low) & (v < high)] for v in _pieces(values)])
    if n < up_to_low + band.size:
        return np.partition(band, n - up_to_low)[n - up_to_low]
    is_right = n < _count(np.less_equal, values, high)
    return high if is_right else np.partition(values, n)[n]


def _count(compare: np.ufunc, values: np.ndarray, limit: np.floating) -> int:
    return sum(int(np.count_nonzero(compare(v, limit))) for v in _pieces(values))


def zero_fraction(values: np.ndarray) -> float:
    """The fraction of values that are zero; 0 if there are none."""
    return 1 - count_nonzero(values) / values.size if values.size else 0.0
