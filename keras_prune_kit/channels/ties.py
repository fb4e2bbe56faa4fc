"""Sets of channels that stand and fall together."""

from __future__ import annotations

import numpy as np


class Ties:
    """A union-find structure over channels, each named by a whole number, its id.

    Example:

    >>> ties = Ties()
    >>> a, b = ties.fresh(2), ties.fresh(2)
    >>> ties.tie(a, b)
    >>> bool((ties.roots(a) == ties.roots(b)).all())
    True
    """

    def __init__(self) -> None:
        self._parents: list[int] = []

    def __len__(self) -> int:
        return len(self._parents)

    def fresh(self, count: int) -> np.ndarray:
        """Return the ids of new channels, tied to none."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def tie(self, a: np.ndarray, b: np.ndarray) -> None:
        """Tie the channels of two arrays of one shape, position by position."""
        for first, second in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
            low, high = sorted((self._root(first), self._root(second)))
            self._parents[high] = low

    def roots(self, ids: np.ndarray) -> np.ndarray:
        """Return, for each channel, the id that stands for all that are tied to it."""
        return np.array(
            [self._root(i) for i in ids.ravel().tolist()], np.int64
        ).reshape(ids.shape)

    def _root(self, at: int) -> int:
        parents = self._parents
        while parents[at] != at:
            # Halving the path keeps later searches short.
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at
