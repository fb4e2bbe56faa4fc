"""Systems of equations with a symmetric matrix that has no negative eigenvalue."""

from __future__ import annotations

import numpy as np
import scipy.linalg

# A pivot, as a part of the largest, that rounding makes of a zero.
_SMALLEST_PIVOT = 1e-7


def solve_symmetric(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a system; the shortest of its least squares if the matrix is singular."""
    factor = _cholesky(matrix)
    if factor is None:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]
    return scipy.linalg.cho_solve((factor, True), right, check_finite=False)


def inverse_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonal of the inverse; of the pseudoinverse if it is singular."""
    factor = _cholesky(matrix)
    if factor is None:
        return np.diagonal(np.linalg.pinv(matrix, hermitian=True))
    # A third of the work of solving for the identity.
    (invert,) = scipy.linalg.get_lapack_funcs(("trtri",), (factor,))
    inverse, _ = invert(factor, lower=True)
    return np.square(inverse).sum(0)


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


def _cholesky(matrix: np.ndarray) -> np.ndarray | None:
    """Return the lower factor, or `None` for a singular matrix."""
    try:
        factor = scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return None
    pivots = np.diagonal(factor)
    return factor if pivots.min() >= _SMALLEST_PIVOT * pivots.max() else None
