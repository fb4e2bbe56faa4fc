"""Selection of the highest scores, in linear time and little memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_prune_kit._tools.checks import check_number

_SAMPLE = 16384
# 1 MiB of float32.
_PIECE = 1 << 18

# Above the rank of every score: that of infinity is 0xFF80.
COARSE_MAX = 0xFFFF


def count_zeros(sparsity: float, size: int) -> int:
    """Return the zeros in `size` weights: `round(sparsity * size)`, but never all."""
    check_number("sparsity", sparsity, 0, 1)
    # TFMOT, too, rounds and keeps one weight at least.
    return max(0, min(round(sparsity * size), size - 1))


def count_nonzero(values: np.ndarray) -> int:
    """Count values that are not zero, four times as fast as NumPy does for floats."""
    return int(np.count_nonzero(values != 0))


def keep_highest(scores: np.ndarray, zeros: int) -> np.ndarray:
    """Return a mask with exactly `zeros` entries `False`, at the lowest scores.

    Of equal scores, the first ones stay `True`. It selects instead of sorting, so the
    time is linear in the size.
    """
    if zeros == 0:
        return np.ones(scores.shape, bool)
    flat = scores.ravel()
    threshold = nth_lowest(flat, zeros - 1)
    mask = flat > threshold
    missing = flat.size - zeros - int(np.count_nonzero(mask))
    for piece, kept in zip(_pieces(flat), _pieces(mask), strict=True):
        if not missing:
            break
        ties = np.flatnonzero(piece == threshold)[:missing]
        # A piece of the mask is a view: this writes to the mask.
        kept[ties] = True
        missing -= ties.size
    return mask.reshape(scores.shape)


def keep_highest_parts(
    ranks: np.ndarray,
    zeros: int,
    ends: Sequence[int] | np.ndarray,
    rescore: Sequence[Callable[[np.ndarray], np.ndarray]],
) -> Iterator[np.ndarray]:
    """Yield the mask of each of several parts that are ranked together.

    Equivalent to `keep_highest` on the scores of all parts, which need more memory.

    Args:
        ranks: Result of `coarse` for all parts, flat.
        zeros: Number of `False` entries in all masks together.
        ends: End index of each part in `ranks`, except the last.
        rescore: For each part a function that returns the exact scores of the entries
            that a boolean mask selects; called where coarse ranks are equal.
    """
    parts = np.split(ranks, ends)
    limit = nth_lowest(ranks, max(zeros - 1, 0))
    go = zeros - _count(np.less, ranks, limit)
    # All of the limit's entries go, so exact scores would decide nothing.
    if go == _count(np.equal, ranks, limit):
        yield from (part > limit for part in parts)
        return
    scores = [score(part == limit) for score, part in zip(rescore, parts, strict=True)]
    kept = keep_highest(np.concatenate(scores), go)
    stays = np.split(kept, np.cumsum([part.size for part in scores])[:-1])
    for part, stay in zip(parts, stays, strict=True):
        mask = part > limit
        mask[part == limit] = stay
        yield mask


def coarse(scores: np.ndarray) -> np.ndarray:
    """Round scores to a precision of 1 in 128, as a flat `uint16` array.

    The order is kept: a lower score may get an equal rank, but never a higher one. All
    ranks are below `COARSE_MAX`.
    """
    ranks = np.empty(scores.size, np.uint16)
    for piece, rank in zip(_pieces(scores.ravel()), _pieces(ranks), strict=True):
        # Adding zero turns -0.0 into 0.0. The bits of floats, as unsigned integers, are
        # in the order of the floats once the sign bit is flipped, and all bits of
        # negative ones.
        bits = np.add(piece, 0, dtype=np.float32).view(np.int32)
        bits ^= (bits >> 31) | np.int32(-(2**31))
        rank[:] = bits >> 16
    return ranks


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield views that fit into a CPU cache, so that temporary arrays stay small."""
    return (values[at : at + _PIECE] for at in range(0, values.size, _PIECE))


def nth_lowest(values: np.ndarray, n: int) -> np.generic:
    """Return the value of rank `n`, counted from 0 at the lowest.

    In a large array a sample brackets the rank between two values, and only the band
    between them is partitioned. Equal values, such as the zeros of a pruned kernel, are
    counted and not partitioned, which would be slow. If the bracket misses the rank,
    the whole array is partitioned, so the result is always exact.
    """
    if values.size <= 2 * _SAMPLE:
        return np.partition(values, n)[n]
    sample = np.sort(values[:: values.size // _SAMPLE])
    stride = values.size / sample.size
    rank = min(round(n / stride), sample.size - 1)
    # An exact count at the pivot corrects the sample's ranks nearby. The margin covers
    # the remaining sampling noise to five standard deviations.
    pivot, side = sample[rank], "right"
    up_to = _count(np.less_equal, values, pivot)
    if n < up_to:
        up_to, side = _count(np.less, values, pivot), "left"
        if n >= up_to:
            return pivot
    rank = int(np.searchsorted(sample, pivot, side))
    off = round((n - up_to) / stride)
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


def _count(compare: np.ufunc, values: np.ndarray, limit: np.generic) -> int:
    return sum(int(np.count_nonzero(compare(v, limit))) for v in _pieces(values))


def zero_fraction(values: np.ndarray) -> float:
    """Return the fraction of values that are zero; 0 for an empty array."""
    return 1 - count_nonzero(values) / values.size if values.size else 0.0
