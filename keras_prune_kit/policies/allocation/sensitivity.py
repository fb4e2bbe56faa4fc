"""Measurement of the loss after pruning one weight at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_array
from keras_prune_kit.criteria import magnitude
from keras_prune_kit.policies import Match, choose_weights
from keras_prune_kit.reports import SensitivityReport, WeightSensitivity
from keras_prune_kit.structures import Unstructured

_LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


def sensitivity(
    model: Any,
    data: Any,
    *,
    levels: Sequence[float] = _LEVELS,
    match: Match | None = None,
) -> SensitivityReport:
    """Measure the loss on a sample after pruning one weight at a time.

    The result shows which layers tolerate a high sparsity; `allocate` creates a policy
    from it. It takes one pass over the sample per level and weight, without training.

    Args:
        model: A trained and compiled model of either world. It is not changed.
        data: `(x, y)`, a few hundred training samples: arrays, or nests of arrays for
            several inputs and outputs.
        levels: The sparsities to measure, above 0; 1 keeps a single value. Defaults to
            eight from 0.5 to 1.
        match: The layers to measure, as in `Rule`. Defaults to `None`: all that a
            `PrunePolicy` without rules covers.

    Returns:
        The loss, without regularization losses, at each level by weight. It prints as a
        table and plots the curves.

    Raises:
        TypeError: If `model` is not a Keras model, or `match` or `levels` is of the
            wrong type.
        ValueError: If the model is not built or compiled, the data are not `(x, y)`, a
            level is out of range, or a weight or the loss is not finite.

    Example:

    ```python
    curves = kpk.sensitivity(model, (x[:500], y[:500]))
    curves.plot("sensitivity.png")
    policy = kpk.allocate(model, 0.9, "sensitivity", data=curves)
    ```

    Source: Han et al. 2015, "Learning both Weights and Connections", arXiv 1506.02626.
    """
    levels = _check_levels(levels)
    model = _keras.opened(model, compiled=True)
    weights, _ = choose_weights(model, match)
    loss = _keras.LossProbe(model, data)
    handle = _keras.variables_of(model)
    dense = _finite(loss())
    records = []
    for weight in weights:
        # A copy: on some backends `read` returns a view of what changes below.
        kernel = np.array(handle.read_finite(weight.variable, weight.path))
        losses = []
        with _restored(handle, weight.variable, kernel):
            for level in levels:
                mask = Unstructured().mask(magnitude(kernel), level)
                # Always from the dense kernel, so that an error of one level does not
                # spread.
                handle.write(weight.variable, np.where(mask, kernel, 0))
                losses.append(_finite(loss()))
        records.append(
            WeightSensitivity(weight.path, weight.shape, levels, tuple(losses))
        )
    return SensitivityReport(dense, tuple(records))


@contextlib.contextmanager
def _restored(
    handle: _keras.Variables, variable: Any, kernel: np.ndarray
) -> Iterator[None]:
    """Restore the value of a variable after the block, even after an error."""
    try:
        yield
    finally:
        handle.write(variable, kernel)


def _check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    numbers = as_array("levels", levels)
    if (
        numbers.ndim != 1
        or not numbers.size
        or numbers.dtype.kind not in "fi"
        or not ((numbers > 0) & (numbers <= 1)).all()
    ):
        raise ValueError(
            "levels are sparsities above 0 and up to 1, at least one. "
            f"Received: levels={levels!r}."
        )
    # Ascending and unique, as curves need it.
    return tuple(sorted({float(number) for number in numbers}))


def _finite(loss: float) -> float:
    if not np.isfinite(loss):
        raise ValueError(
            f"The loss on the sample is {loss}, so levels cannot be compared. Check "
            "the data for NaN or infinity, or train the model first."
        )
    return loss
