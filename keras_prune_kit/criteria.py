"""Criteria answer one question: which weights matter least?

A criterion is a function from weights to scores of the same shape; the weights with the
lowest scores are pruned first. A weight that is zero already must score lowest, so that
pruned weights stay pruned. A criterion that needs gradients of the loss declares which
with `needs_gradients`, and receives them as its second argument.

Every public function of this file whose first parameter is called `weights` is a
criterion of the package: policies with it can be written down, and the tests of all
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


def is_criterion(item: object) -> bool:
    """Return True for a function that takes `weights` first and is not private."""
    if not inspect.isfunction(item) or item.__name__.startswith("_"):
        return False
    return next(iter(inspect.signature(item).parameters), None) == "weights"


def magnitude(weights: np.ndarray) -> np.ndarray:
    """Scores a weight by its absolute value: small weights go first.

    The strongest simple baseline there is (Han et al. 2015, arXiv 1506.02626), and
    what TFMOT's `prune_low_magnitude` does.

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
    """Scores a weight by its share in what its layer has left: `w**2` over the sum of
    the squares of all weights of the layer that are at least as large.

    Within a layer it ranks as `magnitude` does. Between layers it compares what can be
    compared, so it is made for `scope="global"`: a layer of few or of small weights is
    not emptied, and the last weight of a layer scores highest of all (Lee et al. 2021,
    "Layer-adaptive sparsity for the magnitude-based pruning", arXiv 2010.07611).

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
    """Weights and gradients as arrays of one shape, in float32 at least."""
    kernel, slope = as_array("weights", weights), as_array("gradients", gradients)
    if kernel.shape != slope.shape:
        raise ValueError(
            "weights and gradients must have the same shape. Received: "
            f"{kernel.shape} and {slope.shape}."
        )
    return widened(kernel), widened(slope)


@needs_gradients("absolute", batch_size=32)
def taylor(weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Scores a weight by `|w * g|`: what removing it changes the loss by, to first
    order (Molchanov et al. 2017, arXiv 1611.06440).

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
    """Scores a weight by `h * w**2 / 2`: what removing it costs at a minimum, to
    second order (LeCun et al. 1990, "Optimal Brain Damage").

    The second derivative `h` is taken from the diagonal of the empirical Fisher
    matrix: the mean square of single samples' gradients.

    Args:
        weights: Array of any shape.
        gradients: Mean squared gradient of single samples, of the same shape.

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
    """Scores a weight by `-w * g`: weights that training moves to zero go first.

    From Sanh et al. 2020 (arXiv 2005.07683), who add this up over the whole of the
    training; here it is taken anew at each update, so that a run can be resumed
    from its weights alone. For fine-tuning on another task than the model was trained
    for, and along a schedule: at once, on a trained model, it says little.

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
    """Scores weights at random: the control that any other criterion must beat.

    Args:
        seed: The same seed gives the same scores for the same shape, so masks only
            grow along a schedule. Defaults to 0.

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
