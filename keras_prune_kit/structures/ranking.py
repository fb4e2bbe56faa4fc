"""Ranking: which of many scores are the highest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_prune_kit._tools.checks import check_number

_SAMPLE = 16384
_PIECE = 1 << 18

COARSE_MAX = 0xFFFF


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
        kept[ties] = True
        missing -= ties.size
    return mask.reshape(scores.shape)


def keep_highest_parts(
    ranks: np.ndarray,
    zeros: int,
    ends: Sequence[int] | np.ndarray,
    rescore: Sequence[Callable[[np.ndarray], np.ndarray]],
) -> Iterator[np.ndarray]:
    """The same for parts that are ranked together, one by one, without all scores.

    Args:
        ranks: What `coarse` gives for all parts, flat.
        zeros: Entries that are `False` in all masks together.
        ends: Where each part ends, but for the last.
        rescore: For each part what gives the scores of some of it, chosen by a mask:
            those that coarse ranks leave open.
    """
    parts = np.split(ranks, ends)
    limit = nth_lowest(ranks, max(zeros - 1, 0))
    go = zeros - _count(np.less, ranks, limit)
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
    """Scores to a precision of 1 in 128, as a flat array of two bytes each.

    They rank as the scores do: what is lower may be equal here, but never higher. All
    are below `COARSE_MAX`.
    """
    ranks = np.empty(scores.size, np.uint16)
    for piece, rank in zip(_pieces(scores.ravel()), _pieces(ranks), strict=True):
        # Adding zero makes one of the two zeros there are. The bits of a float rank as
        # it does, once the sign is turned, and all others of a negative one too.
        bits = np.add(piece, 0, dtype=np.float32).view(np.int32)
        bits ^= (bits >> 31) | np.int32(-(2**31))
        rank[:] = bits >> 16
    return ranks


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """Views that fit into a cache: what is computed of each takes no memory."""
    return (values[at : at + _PIECE] for at in range(0, values.size, _PIECE))


def nth_lowest(values: np.ndarray, n: int) -> np.generic:
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
    # An exact count tells how far off the sample's ranks are around here; what is left
    # is the noise of counting that many more (five standard deviations of it).
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
    """The fraction of values that are zero; 0 if there are none."""
    return 1 - count_nonzero(values) / values.size if values.size else 0.0
