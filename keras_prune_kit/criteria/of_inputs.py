"""Criteria that look at the inputs that weights are multiplied by."""

from __future__ import annotations

import numpy as np

from keras_prune_kit._tools.checks import as_array
from keras_prune_kit._tools.symmetric import Symmetric, same_masks
from keras_prune_kit.criteria.declaring import needs_inputs


@needs_inputs("squares")
def wanda(weights: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Score weights by `|w| * |x|`, the size of what they add to their output.

    It is `magnitude` that knows which inputs are small, and costs one pass over the
    sample. The paper compares the weights of each output with each other, as
    `structure=NofM(2, 4)` does here. Scores of different layers do not compare.

    Source: Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language
    Models", arXiv 2306.11695.

    Args:
        weights: Matrix `(inputs, outputs)`.
        squares: Mean square of each input, `(inputs,)`.

    Returns:
        Scores of the shape of the weights.

    Raises:
        TypeError: If an argument is no array of numbers.
        ValueError: If they do not have these shapes.

    Example:

    >>> wanda(np.array([[-2.0], [0.5]]), np.array([1.0, 100.0])).tolist()
    [[2.0], [5.0]]
    """
    weights, squares = _pair(weights, squares, "squares", 1)
    return np.abs(weights) * np.sqrt(squares)[:, None]


@needs_inputs("products")
def optimal_brain_surgeon(weights: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Score weights by `w**2 / [H^-1]_jj`, the error that is left once others make up.

    It is the squared error that the removal of a weight adds to its output, if all
    other weights of that output that are not zero, and the bias, are solved anew: `H`
    are the products of their inputs. A weight whose input others can stand in for goes
    early. Use it with `prune_at_once`, whose repair solves the others, above all for
    `structure=NofM(2, 4)` and networks with batch normalization; or with training.

    Errors of different layers do not compare: keep to `scope="layer"`. Ranked together
    and repaired, a ResNet8 on coloured digits kept 0.77 of 0.95 at 70 %; `lamp` 0.94.

    Each output with zeros of its own takes a matrix of all inputs to invert, so an
    update of large kernels takes seconds: give the schedule a `frequency`.

    Source: Hassibi and Stork 1992, "Second order derivatives for network pruning:
    Optimal Brain Surgeon"; Frantar and Alistarh 2022, arXiv 2208.11580, by layers.

    Args:
        weights: Matrix `(inputs, outputs)`.
        products: Mean products of all pairs of inputs, `(inputs, inputs)`.

    Returns:
        Scores of the shape of the weights; -1 for a weight that is zero.

    Raises:
        TypeError: If an argument is no array of numbers.
        ValueError: If they do not have these shapes.

    Example:

    >>> twins = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> optimal_brain_surgeon(np.array([[-2.0], [1.0]]), twins).round(6).tolist()
    [[3.0], [0.75]]
    """
    weights, products = _pair(weights, products, "products", 2)
    scores = np.full(weights.shape, -1.0)
    for kept, columns in same_masks(weights != 0):
        system, place = Symmetric(products[np.ix_(kept, kept)]), np.ix_(kept, columns)
        scores[place] = removal_costs(system, weights[place])
    return scores


def removal_costs(system: Symmetric, weights: np.ndarray) -> np.ndarray:
    """Return the error that the removal of each weight adds, `w**2 / [H^-1]_jj`.

    Args:
        system: `H`, the products of all pairs of inputs.
        weights: Matrix `(inputs, outputs)`.
    """
    spans, squares = system.inverse_diagonal()[:, None], np.square(weights)
    # The pseudoinverse is zero for an input that is always zero, and its weight does
    # not matter.
    return np.divide(squares, spans, out=np.zeros_like(squares), where=spans > 0)


def _pair(
    weights: object, inputs: object, name: str, axes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix and what is known of its inputs, in float64."""
    kernel, known = as_array("weights", weights), as_array(name, inputs)
    if kernel.ndim != 2 or known.shape != (len(kernel),) * axes:
        shape = ", ".join(["inputs"] * axes) + ("," if axes == 1 else "")
        raise ValueError(
            f"weights are a matrix (inputs, outputs) and {name} of shape ({shape}). "
            f"Received: {kernel.shape} and {known.shape}."
        )
    return kernel.astype(np.float64), known.astype(np.float64)
