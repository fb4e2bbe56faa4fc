"""Weights of few bits: what the rounding of one changes, the next make up for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_prune_kit._tools.symmetric import inverse_factor, same_masks
from keras_prune_kit.reconstruction.solving import default_damping
from keras_prune_kit.reconstruction.statistics import GramStatistics, Statistics

# Steps have three bits after the first: eight of them in each power of two.
_STEPS_PER_OCTAVE = 8
# The smallest step that is tried, as powers of two below the one that clips nothing:
# the fewer levels there are, the more it pays to clip.
_OCTAVES = {2: 3.0, 3: 2.0, 4: 1.5}
_OCTAVES_OF_MANY_BITS = 1.0
# What rounding to float32 adds to a product of a compact step.
_ROUNDING = 1e-6
# Rows that are rounded one by one before all those after them are corrected.
_ROWS_AT_ONCE = 32
# Weights that are rounded at once, those of all candidates counted: 32 MB.
_WEIGHTS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Grid:
    """The values that rounded weights may have.

    These are multiples of a step, as many below zero as above. Steps are *compact*, of
    four significant bits, as `quantize_aware` needs them. The largest weight of each
    step is its outermost multiple: from that, files and `quantize_aware` find the step.

    Attributes:
        bits: The bits of a weight, 2 to 8.
        has_one_step: True if all outputs share a step.
        scale: What each output is multiplied with by the normalization that will be
            folded into the weights, `(outputs,)`, above zero. The steps are those of
            the folded weights. Defaults to `None`, no normalization.
    """

    bits: int
    has_one_step: bool = False
    scale: np.ndarray | None = None

    @property
    def levels(self) -> int:
        """The number of multiples on either side of zero: 127 for 8 bits, 1 for 2."""
        return 2 ** (self.bits - 1) - 1

    def candidates(self, weights: np.ndarray) -> np.ndarray:
        """Return the steps to choose from, `(candidates, outputs)`, widest first.

        Args:
            weights: `(inputs, outputs)`, without the bias.
        """
        scale = np.ones(weights.shape[1]) if self.scale is None else self.scale
        reach = np.abs(weights).max(0, initial=0) * scale
        if self.has_one_step:
            reach[:] = reach.max(initial=0)
        # A step for zeros is as good as any other.
        reach[reach == 0] = self.levels
        octaves = _OCTAVES.get(self.bits, _OCTAVES_OF_MANY_BITS)
        narrower = np.arange(round(octaves * _STEPS_PER_OCTAVE) + 1)
        numbers = _compact_number(reach / self.levels) - narrower[:, None]
        return _compact_step(numbers) / scale

    def round(self, weights: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return the nearest values, none of them -0.0."""
        levels = np.clip(np.rint(weights / steps), -self.levels, self.levels)
        return levels * steps + 0.0

    def is_reached(self, rounded: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return True for outputs with a weight that is the outermost multiple.

        Args:
            rounded: `(inputs, ...)`, without the bias.
            steps: The steps, `(...)`.
        """
        return np.abs(rounded).max(0, initial=0) > (self.levels - 0.5) * steps


def round_with_compensation(
    statistics: Statistics,
    weights: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    damping: float | None = None,
) -> np.ndarray:
    """Return rounded weights; those that are still to come and the bias make up.

    Each step is the one of some candidates that leaves the smallest error of the
    outputs. Zeros stay zero, and the bias is not rounded. `RowStatistics` do not have
    the products of inputs that this needs: there weights are rounded to the nearest
    values, and the bias alone makes up.

    Args:
        statistics: The inputs and the outputs that they shall give.
        weights: `(inputs, outputs)`, as `solve` returns them.
        mask: As in `solve`.
        grid: The values.
        damping: As in `solve`.

    Source: Frantar et al. 2022, "GPTQ", arXiv 2210.17323; Frantar and Alistarh 2022,
    arXiv 2208.11580.
    """
    if damping is None:
        damping = default_damping(statistics)
    inputs = statistics.inputs
    if not isinstance(statistics, GramStatistics):
        nearest = round_to_nearest(weights[:inputs], grid)
        return _solve_bias(statistics, weights, mask, nearest, damping)
    steps = _best_steps(statistics, weights, mask, grid, damping)
    rounded = np.where(mask, weights, 0.0)
    for group in _groups(statistics, mask, damping, steps[None]):
        rounded[group.place] = group.sweep(weights, steps[None], grid)[:, 0]
    is_reached = grid.is_reached(rounded[:inputs], steps)
    if grid.has_one_step:
        is_reached[:] = is_reached.any()
    if is_reached[np.any(mask[:inputs], 0)].all():
        return rounded
    # The nearest value of the largest weight is the outermost one.
    nearest = round_to_nearest(weights[:inputs], grid)
    nearest = _solve_bias(statistics, weights, mask, nearest, damping)
    return np.where(is_reached, rounded, nearest)


def round_to_nearest(weights: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the nearest values, by the steps with the smallest squared error.

    Args:
        weights: `(inputs, outputs)`, without the bias.
        grid: The values.
    """
    candidates = grid.candidates(weights)
    rounded = [grid.round(weights, steps) for steps in candidates]
    errors = np.stack([np.square(one - weights).sum(0) for one in rounded])
    pairs = zip(rounded, candidates, strict=True)
    is_reached = np.stack([grid.is_reached(*pair) for pair in pairs])
    return grid.round(weights, _chosen(candidates, errors, is_reached, grid))


@dataclass(frozen=True)
class _Group:
    """Some outputs with equal masks.

    Attributes:
        kept: The indices of the weights that are not zero, in the order of rounding.
        columns: The indices of the outputs.
        factor: The upper factor of the inverse of the products of their inputs.
        count: The number of `kept` without the bias, which is last.
    """

    kept: np.ndarray
    columns: np.ndarray
    factor: np.ndarray
    count: int

    @property
    def place(self) -> tuple[np.ndarray, ...]:
        return np.ix_(self.kept, self.columns)

    def sweep(self, weights: np.ndarray, steps: np.ndarray, grid: Grid) -> np.ndarray:
        """Return the rounded weights for several steps, `(kept, steps, columns)`.

        Args:
            weights: The weights of all outputs.
            steps: `(steps, outputs)`.
            grid: The values.
        """
        steps, start = steps[:, self.columns], weights[self.place]
        work = np.repeat(start[:, None], len(steps), axis=1).reshape(len(start), -1)
        _sweep(work, self.factor, self.count, grid, steps.ravel())
        return work.reshape(len(start), *steps.shape)


def _groups(
    statistics: GramStatistics, mask: np.ndarray, damping: float, steps: np.ndarray
) -> Iterator[_Group]:
    """Yield the outputs in parts that fit into memory with all of their steps."""
    added, energy = statistics.damping(damping), np.diagonal(statistics.gram)
    for kept, columns in same_masks(mask):
        is_bias = kept >= statistics.inputs
        # Inputs with the largest values first: later ones make up for them.
        kept = kept[np.lexsort((-energy[kept], is_bias))]
        gram = statistics.gram[np.ix_(kept, kept)] + np.diag(added[kept])
        factor = inverse_factor(gram)
        count = int(np.count_nonzero(~is_bias))
        most = max(1, _WEIGHTS_AT_ONCE // (len(kept) * len(steps)))
        for part in np.split(columns, range(most, len(columns), most)):
            yield _Group(kept, part, factor, count)


def _sweep(
    weights: np.ndarray, factor: np.ndarray, count: int, grid: Grid, steps: np.ndarray
) -> None:
    """Round rows in place, one after another; each corrects those after it.

    Args:
        weights: `(kept, columns)`.
        factor: As in `_Group`.
        count: The number of rows to round; the others are corrected only.
        grid: The values.
        steps: `(columns,)`.
    """
    errors = np.zeros_like(weights)

    def correct(rows: slice, later: slice) -> None:
        weights[later] -= factor[rows, later].T @ errors[rows]

    def sweep(first: int, last: int) -> None:
        if last - first > _ROWS_AT_ONCE:
            middle = (first + last) // 2
            sweep(first, middle)
            correct(slice(first, middle), slice(middle, last))
            sweep(middle, last)
            return
        for row in range(first, min(last, count)):
            value = grid.round(weights[row], steps)
            errors[row] = (weights[row] - value) / factor[row, row]
            weights[row] = value
            correct(slice(row, row + 1), slice(row + 1, last))

    sweep(0, len(weights))


def _best_steps(
    statistics: GramStatistics,
    weights: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    damping: float,
) -> np.ndarray:
    """Return the step of each output that leaves the smallest error once swept."""
    candidates = grid.candidates(np.where(mask, weights, 0.0)[: statistics.inputs])
    errors, is_reached = np.zeros(candidates.shape), np.zeros(candidates.shape, bool)
    residual = statistics.residual(np.where(mask, weights, 0.0))
    for group in _groups(statistics, mask, damping, candidates):
        swept = group.sweep(weights, candidates, grid)
        steps = candidates[:, group.columns]
        is_reached[:, group.columns] = grid.is_reached(swept[: group.count], steps)
        change = swept - weights[group.place][:, None]
        gram = statistics.gram[np.ix_(group.kept, group.kept)]
        slope = np.tensordot(gram, change, 1) - 2 * residual[group.place][:, None]
        errors[:, group.columns] = (change * slope).sum(0)
    return _chosen(candidates, errors, is_reached, grid)


def _chosen(
    candidates: np.ndarray, errors: np.ndarray, is_reached: np.ndarray, grid: Grid
) -> np.ndarray:
    """Return the steps with the least error, of those whose outermost value is used."""
    if grid.has_one_step:
        errors = np.broadcast_to(errors.sum(1, keepdims=True), errors.shape)
        is_reached = np.broadcast_to(is_reached.any(1, keepdims=True), errors.shape)
    # Steps that do not reach it lose to all others, but one has to be chosen.
    ranked = np.where(is_reached, errors, np.inf)
    return np.take_along_axis(candidates, ranked.argmin(0)[None], 0)[0]


def _solve_bias(
    statistics: Statistics,
    weights: np.ndarray,
    mask: np.ndarray,
    rounded: np.ndarray,
    damping: float,
) -> np.ndarray:
    """Return rounded weights with the bias that suits them."""
    whole = np.vstack([rounded, weights[statistics.inputs :]])
    if statistics.has_bias:
        bias = np.array([statistics.inputs])
        added = statistics.damping(damping)[bias]
        change = statistics.correction(statistics.residual(whole), bias, added)
        whole[bias] += np.where(mask[bias], change, 0.0)
    return whole


def _compact_number(steps: np.ndarray) -> np.ndarray:
    """Return the number of the compact step that is equal or next above."""
    fraction, exponent = np.frexp(steps)
    eighths = np.ceil(fraction * 2 * _STEPS_PER_OCTAVE * (1 - _ROUNDING))
    return (exponent * _STEPS_PER_OCTAVE + eighths).astype(int) - _STEPS_PER_OCTAVE


def _compact_step(numbers: np.ndarray) -> np.ndarray:
    """Apply the inverse of `_compact_number`."""
    exponent, eighths = np.divmod(numbers, _STEPS_PER_OCTAVE)
    return np.ldexp(0.5 + eighths / (2 * _STEPS_PER_OCTAVE), exponent)
