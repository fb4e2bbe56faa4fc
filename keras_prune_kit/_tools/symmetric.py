"""Systems of equations with a symmetric matrix that has no negative eigenvalue.

Columns of weights with the same mask share one such system.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

# A pivot, as a part of the largest, that rounding makes of a zero.
_SMALLEST_PIVOT = 1e-7


class Symmetric:
    """A symmetric matrix without negative eigenvalues, factored once.

    Args:
        matrix: The matrix.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self._matrix = matrix
        self._factor = _cholesky(matrix)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve a system; the shortest of its least squares if it is singular."""
        if self._factor is None:
            return np.linalg.lstsq(self._matrix, right, rcond=None)[0]
        factor = self._factor, True
        return scipy.linalg.cho_solve(factor, right, check_finite=False)

    def inverse_diagonal(self) -> np.ndarray:
        """Return the diagonal of the inverse; of the pseudoinverse if singular."""
        if self._factor is None:
            return np.diagonal(np.linalg.pinv(self._matrix, hermitian=True))
        # A third of the work of solving for the identity.
        (invert,) = scipy.linalg.get_lapack_funcs(("trtri",), (self._factor,))
        inverse, _ = invert(self._factor, lower=True)
        return np.einsum("ij,ij->j", inverse, inverse)


def inverse_factor(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle `U` with `U.T @ U` the inverse of a matrix.

    Row by row it has what a change of one unknown asks of those after it. Of a singular
    matrix it is that of its diagonal: then none asks anything.
    """
    factor = _cholesky(matrix[::-1, ::-1])
    if factor is None:
        return np.eye(len(matrix))
    (invert,) = scipy.linalg.get_lapack_funcs(("trtri",), (factor,))
    inverse, _ = invert(factor, lower=True)
    return np.ascontiguousarray(inverse[::-1, ::-1])


def same_masks(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the kept rows and the columns of each set of columns with equal masks."""
    packed = np.packbits(mask, axis=0)
    _, numbers = np.unique(packed, axis=1, return_inverse=True)
    numbers = numbers.ravel()
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order])) + 1
    for columns in np.split(order, starts):
        kept = np.flatnonzero(mask[:, columns[0]])
        if kept.size:
            yield kept, columns


def _cholesky(matrix: np.ndarray) -> np.ndarray | None:
    """Return the lower factor, or `None` for a singular matrix."""
    try:
        factor = scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return None
    pivots = np.diagonal(factor)
    return factor if pivots.min() >= _SMALLEST_PIVOT * pivots.max() else None
