"""Criteria as functions, and declarations of what they need beside the weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from keras_prune_kit._tools.checks import check_whole, is_one_of
from keras_prune_kit._tools.spelling import did_you_mean

Criterion = Callable[..., np.ndarray]
CriterionT = TypeVar("CriterionT", bound=Criterion)

_OF_GRADIENTS = ("signed", "absolute", "squared")
_OF_INPUTS = ("squares", "products")


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
        _check_statistic(self.statistic, _OF_GRADIENTS)


@dataclass(frozen=True)
class InputsNeeded:
    """The inputs that a criterion needs, averaged over a sample.

    Attributes:
        statistic: The averaged quantity: `"squares"` of each input, or `"products"` of
            all pairs.
    """

    statistic: str

    def __post_init__(self) -> None:
        _check_statistic(self.statistic, _OF_INPUTS)


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

    needed = GradientsNeeded(statistic, batch_size)

    def declare(criterion: CriterionT) -> CriterionT:
        criterion.gradients_needed = needed  # pyright: ignore
        return criterion

    return declare


def needs_inputs(statistic: str) -> Callable[[CriterionT], CriterionT]:
    """Declare that a criterion is a function of weights and the inputs they multiply.

    It is called with a matrix `(inputs, outputs)`, whose rows are in the order of the
    inputs: once for a Dense kernel, once for each group of a convolution, whose inputs
    are the pixels and channels of a patch. Zeros are ranked in the layout of the
    structures all the same.

    Args:
        statistic: `"squares"`, the mean square of each input, `(inputs,)`; or
            `"products"`, the mean products of all pairs, `(inputs, inputs)`. If the
            layer has a bias, products are those of the differences from the means,
            which the bias can make up for. The diagonal is raised by 1 % of its mean,
            10 % if there are fewer rows than inputs, so that the matrix has an inverse.
            A kernel of more than 2,048 inputs is scored in parts of that many.

    Raises:
        ValueError: If the statistic is none of these.

    Example:

    >>> @needs_inputs("squares")
    ... def loudest(weights, squares):
    ...     return np.abs(weights) * squares[:, None]
    """
    needed = InputsNeeded(statistic)

    def declare(criterion: CriterionT) -> CriterionT:
        criterion.inputs_needed = needed  # pyright: ignore
        return criterion

    return declare


def gradients_needed(criterion: Criterion) -> GradientsNeeded | None:
    """Return the gradients that a criterion declared, or `None`."""
    return getattr(criterion, "gradients_needed", None)


def inputs_needed(criterion: Criterion) -> InputsNeeded | None:
    """Return the inputs that a criterion declared, or `None`."""
    return getattr(criterion, "inputs_needed", None)


def scored_by(
    criterion: Criterion, path: str, weights: np.ndarray, needed: np.ndarray | None
) -> np.ndarray:
    """Return a criterion's scores of a weight.

    Args:
        criterion: The criterion.
        path: The path of the weight, for messages.
        weights: Its value: in the layout of structures, or a matrix
            `(inputs, outputs)` for a criterion that needs inputs.
        needed: The gradients or what is known of the inputs, or `None`.

    Raises:
        ValueError: If the criterion does not return one score per value.
    """
    looked_at = (weights,) if needed is None else (weights, needed)
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


def _check_statistic(statistic: object, known: tuple[str, ...]) -> None:
    if not is_one_of(statistic, known):
        raise ValueError(
            f"statistic is one of {known}. Received: {statistic!r}."
            + did_you_mean(statistic, known)
        )
