"""Distribution of a number of zeros over weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keras_prune_kit.structures import keep_highest

Point = tuple[float, float]


def erdos_renyi_zeros(shapes: Sequence[tuple[int, ...]], total: int) -> list[int]:
    """Distribute zeros by the Erdos-Renyi-Kernel rule.

    Each weight keeps values in proportion to the sum of its dimensions. A weight with
    fewer values than that stays dense, and the others share the rest.

    Args:
        shapes: The shape of each weight.
        total: The total number of zeros.

    Returns:
        The number of zeros of each weight.

    Example:

    >>> erdos_renyi_zeros([(10, 10), (100, 100)], 10_000)
    [91, 9909]
    """
    sizes = np.array([math.prod(shape) for shape in shapes], float)
    shares = np.array([sum(shape) for shape in shapes], float)
    kept = np.zeros(len(sizes))
    is_dense = np.zeros(len(sizes), bool)
    while not is_dense.all():
        left = sizes.sum() - total - sizes[is_dense].sum()
        kept = np.where(is_dense, sizes, shares * left / shares[~is_dense].sum())
        if (kept <= sizes).all():
            break
        # More weights may exceed their size once these are fixed, hence the loop.
        is_dense |= kept >= sizes
    return apportion(sizes - kept, sizes, total)


def global_zeros(kernels: Sequence[np.ndarray], total: int) -> list[int]:
    """Distribute zeros to the smallest magnitudes of all weights.

    Each weight keeps at least its largest value.

    Args:
        kernels: The values of each weight.
        total: The total number of zeros.

    Returns:
        The number of zeros of each weight.

    Example:

    >>> global_zeros([np.array([0.1, 3.0]), np.array([1.0, 2.0, 0.2])], 3)
    [1, 2]
    """
    # One dtype, as kernels of mixed precision are ranked together.
    scores = [np.abs(kernel, dtype=np.float64).ravel() for kernel in kernels]
    for score in scores:
        score[score.argmax()] = np.inf
    mask = keep_highest(np.concatenate(scores), total)
    parts = np.split(mask, np.cumsum([score.size for score in scores])[:-1])
    return [part.size - int(np.count_nonzero(part)) for part in parts]


def sensitivity_zeros(curves: Sequence[Sequence[Point]], total: int) -> list[int]:
    """Distribute zeros so that the loss is least, if losses are additive.

    On the lower convex hull of a curve, each further zero costs at least as much as the
    one before, so it is optimal to take the flattest segments of all curves first
    (Lagrange: in the end, one more zero costs the same everywhere).

    Args:
        curves: For each weight the points `(zeros, increase of the loss)` up to its
            maximum number of zeros. The point `(0, 0)` is implied.
        total: The total number of zeros.

    Returns:
        The number of zeros of each weight.

    Example:

    >>> sensitivity_zeros([[(50, 0.1), (90, 0.5)], [(50, 0.0), (90, 0.2)]], 100)
    [50, 50]
    """
    hulls = [lower_hull([(0.0, 0.0), *curve]) for curve in curves]
    # Of equally flat segments, the first weight's comes first: reproducible.
    stretches = sorted(
        ((right[1] - left[1]) / (right[0] - left[0]), index, right[0] - left[0])
        for index, hull in enumerate(hulls)
        for left, right in zip(hull, hull[1:], strict=False)
    )
    zeros = np.zeros(len(curves))
    for _, index, length in stretches:
        zeros[index] += min(length, total - zeros.sum())
    # One more than there may be zeros, as `apportion` keeps one value of each.
    most = np.array([hull[-1][0] + 1 for hull in hulls])
    return apportion(zeros, most, total)


def lower_hull(points: Sequence[Point]) -> list[Point]:
    """Return the points of the lower convex hull, from left to right.

    Example:

    >>> lower_hull([(0, 0), (1, 3), (2, 2), (3, 6)])
    [(0, 0), (2, 2), (3, 6)]
    """
    hull: list[Point] = []
    for x, y in sorted(points):
        # Points are sorted: the first of several with this many zeros costs least.
        if hull and x == hull[-1][0]:
            continue
        while len(hull) > 1 and _is_above(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return hull


def _is_above(left: Point, middle: Point, right: Point) -> bool:
    # Slopes are compared by products, without a division by a width of zero.
    rise = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) >= rise


def apportion(zeros: np.ndarray, sizes: np.ndarray, total: int) -> list[int]:
    """Round to integers with a given sum: the largest fractions are rounded up.

    Args:
        zeros: The fractional number of zeros of each weight.
        sizes: The number of values of each weight, of which it keeps at least one.
        total: The sum of the result.

    Example:

    >>> apportion(np.array([1.5, 2.7, 0.8]), np.array([9, 9, 9]), 5)
    [1, 3, 1]
    """
    whole = np.clip(np.floor(zeros), 0, sizes - 1).astype(int)
    # Stable: equal fractions are rounded up in the order of the weights.
    order = np.argsort(-(zeros - whole), kind="stable")
    while (missing := total - int(whole.sum())) > 0:
        room = order[whole[order] < sizes[order] - 1]
        whole[room[:missing]] += 1
    return whole.tolist()
