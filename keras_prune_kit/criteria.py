"""Criteria: functions that score how much each weight matters.

A criterion is a function from weights to scores of the same shape; the weights with the
lowest scores are pruned first. A weight that is zero already must score lowest, so that
pruned weights stay pruned. A criterion that needs gradients of the loss declares which
with `needs_gradients`, and receives them as its second argument.

Every public function of this file whose first parameter is named `weights` is a
criterion of the package: policies with it can be serialized, and the tests of all
criteria run on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from keras_prune_kit._tools.checks import as_array, check_whole, is_one_of, widened

Criterion = Callable[..., np.ndarray]
CriterionT = TypeVar("CriterionT", bound=Criterion)

_STATISTICS = ("signed", "absolute", "squared")


@dataclass(frozen=True)
class GradientsNeeded:
    """The gradients that a criterion needs, averaged over the batches of a sample.

    Attributes:
        statistic: The averaged quantity: `"signed"`, `"absolute"` or `"squared"`.
        batch_size: Samples in a batch; 1 for the gradients of single samples.
    """

    statistic: str
    batch_size: int

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size)
        if not is_one_of(self.statistic, _STATISTICS):
            raise ValueError(
                f"statistic is one of {_STATISTICS}. Received: {self.statistic!r}."
            )


def needs_gradients(
    statistic: str, batch_size: int
) -> Callable[[CriterionT], CriterionT]:
    """Declare that a criterion is a function of weights and gradients.

    Args:
        statistic: `"signed"`, `"absolute"` or `"squared"`: the quantity that is
            averaged over the batches of the sample.
        batch_size: Samples in a batch; 1 for the gradients of single samples.

    Example:

    >>> @needs_gradients("absolute", batch_size=32)
    ... def steepest(weights, gradients):
    ...     return gradients
    """

    def declare(criterion: CriterionT) -> CriterionT:
        criterion.gradients_needed = GradientsNeeded(  # pyright: ignore
            statistic, batch_size
        )
        return criterion

    return declare


def gradients_needed(criterion: Criterion) -> GradientsNeeded | None:
    """Return the gradients that a criterion declared, or `None`."""
    return getattr(criterion, "gradients_needed", None)


def scored_by(
    criterion: Criterion, path: str, weights: np.ndarray, gradients: np.ndarray | None
) -> np.ndarray:
    """Return a criterion's scores of a weight.

    Args:
        criterion: The criterion.
        path: The path of the weight, for messages.
        weights: Its value in the layout of structures.
        gradients: The gradients that the criterion needs, or `None`.

    Raises:
        ValueError: If the criterion does not return one score per value.
    """
    looked_at = (weights,) if gradients is None else (weights, gradients)
    scores = criterion(*looked_at)
    if np.shape(scores) != weights.shape:
        raise ValueError(
            "A criterion must return one score per weight. Received: shape "
            f"{np.shape(scores)} for {path} of shape {weights.shape}."
        )
    return scores


def is_criterion(item: object) -> bool:
    """Return True for a public function whose first parameter is `weights`."""
    if not inspect.isfunction(item) or item.__name__.startswith("_"):
        return False
    return next(iter(inspect.signature(item).parameters), None) == "weights"


def magnitude(weights: np.ndarray) -> np.ndarray:
    """Score weights by their absolute value: small weights are pruned first.

    This is the strongest simple baseline (Han et al. 2015, arXiv 1506.02626), and the
    criterion of TFMOT's `prune_low_magnitude`.

    Args:
        weights: Array of any shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> magnitude(np.array([-2.0, 0.5])).tolist()
    [2.0, 0.5]
    """
    return np.abs(as_array("weights", weights))


def lamp(weights: np.ndarray) -> np.ndarray:
    """Score weights by their share of the remaining squared norm of their layer.

    The score is `w**2` divided by the sum of the squares of all weights of the layer
    that are at least as large. Within a layer, it ranks like `magnitude`. Across
    layers, the scores are comparable, which suits `scope="global"`: a layer of few or
    small weights is not emptied, as the largest weight of each layer scores 1 (Lee et
    al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning", arXiv
    2010.07611).

    Args:
        weights: Array of any shape, one layer's kernel.

    Returns:
        Scores of the same shape, 0 to 1.

    Example:

    >>> lamp(np.array([-2.0, 1.0])).tolist()
    [1.0, 0.2]
    """
    weights = as_array("weights", weights)
    squares = np.square(weights, dtype=np.float64).ravel()
    order = squares.argsort(kind="stable")
    ascending = squares[order]
    left = ascending[::-1].cumsum()[::-1]
    scores = np.zeros_like(squares)
    scores[order] = np.divide(ascending, left, out=np.zeros_like(left), where=left > 0)
    return scores.reshape(weights.shape)


def _pair(weights: object, gradients: object) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and gradients as arrays of the same shape, at least float32."""
    kernel, slope = as_array("weights", weights), as_array("gradients", gradients)
    if kernel.shape != slope.shape:
        raise ValueError(
            "weights and gradients must have the same shape. Received: "
            f"{kernel.shape} and {slope.shape}."
        )
    return widened(kernel), widened(slope)


@needs_gradients("absolute", batch_size=32)
def taylor(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `|w * g|`, the first-order change of the loss without them.

    Source: Molchanov et al. 2017, arXiv 1611.06440.

    Args:
        weights: Array of any shape.
        gradients: Mean absolute gradient over batches of 32, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> taylor(np.array([-2.0, 0.5]), np.array([0.1, 3.0])).tolist()
    [0.2, 1.5]
    """
    weights, gradients = _pair(weights, gradients)
    return np.abs(weights) * gradients


@needs_gradients("squared", batch_size=1)
def optimal_brain_damage(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `h * w**2 / 2`, the second-order loss increase without them.

    It assumes a minimum of the loss (LeCun et al. 1990, "Optimal Brain Damage"). The
    second derivative `h` is approximated by the diagonal of the empirical Fisher
    matrix: the mean square of per-sample gradients.

    Args:
        weights: Array of any shape.
        gradients: Mean square of per-sample gradients, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> optimal_brain_damage(np.array([-2.0, 0.5]), np.array([1.0, 8.0])).tolist()
    [2.0, 1.0]
    """
    weights, gradients = _pair(weights, gradients)
    return gradients * np.square(weights) / 2


@needs_gradients("signed", batch_size=32)
def movement(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Score weights by `-w * g`: those that move towards zero are pruned first.

    Sanh et al. 2020 (arXiv 2005.07683) sum the score over the whole training; here it
    is computed anew at each mask update, so that a run can be resumed from its weights
    only. Use it along a schedule, when fine-tuning on another task than the model was
    trained for; in one shot on a trained model, it says little.

    Args:
        weights: Array of any shape.
        gradients: Mean gradient, of the same shape.

    Returns:
        Scores of the same shape.

    Example:

    >>> movement(np.array([-2.0, 0.5]), np.array([1.0, 1.0])).tolist()
    [2.0, -0.5]
    """
    weights, gradients = _pair(weights, gradients)
    scores = -weights * gradients
    # A zero would score 0, more than any weight with a negative score.
    lowest = scores.min(initial=0.0) - 1
    return np.where(weights == 0, lowest, scores)


@dataclass(frozen=True)
class RandomScores:
    """The criterion that `random_scores` returns."""

    seed: int

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        scores = np.random.default_rng(self.seed).random(weights.shape, np.float32)
        return np.where(weights == 0, np.float32(0), scores + np.float32(1e-6))


def random_scores(seed: int = 0) -> Criterion:
    """Return a criterion of random scores, the control for any other criterion.

    Args:
        seed: The seed of the generator. The same seed and shape produce the same
            scores, so that zeros stay zero along a schedule. Defaults to 0.

    Returns:
        A criterion.

    Raises:
        ValueError: If the seed is not a whole number of at least 0.

    Example:

    >>> scores = random_scores(seed=1)(np.ones((2, 3)))
    >>> scores.shape
    (2, 3)
    """
    check_whole("seed", seed, least=0)
    return RandomScores(seed)
