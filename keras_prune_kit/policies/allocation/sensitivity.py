"""What pruning each weight alone does to the loss."""

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
    """Prunes each weight alone at several levels and measures the loss on a sample.

    Shows which layers can do with little. `allocate` makes a policy of it. Takes one
    pass over the sample a level and weight; nothing is trained.

    Args:
        model: A trained and compiled model of either world. It is left as it was.
        data: `(x, y)`, a sample of some hundred training data: arrays, or nests of
            them for several inputs and outputs.
        levels: Sparsities to try, above 0; 1 leaves a single value. Defaults to eight
            from 0.5 to 1.
        match: Which layers, as in `Rule`. Defaults to `None`: whatever a `PrunePolicy`
            without rules would prune.

    Returns:
        The loss (without penalties on weights) at each level, by weight. It prints as
        a table and draws the curves.

    Raises:
        TypeError: If it is not a Keras model, or `match` or `levels` of another kind.
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
        kernel = np.array(handle.read_finite(weight.variable, weight.path))
        losses = []
        with _restored(handle, weight.variable, kernel):
            for level in levels:
                mask = Unstructured().mask(magnitude(kernel), level)
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
    """Puts a value back, whatever happens."""
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
    return tuple(sorted({float(number) for number in numbers}))


def _finite(loss: float) -> float:
    if not np.isfinite(loss):
        raise ValueError(
            f"The loss on the sample is {loss}, so there is nothing to compare. Look "
            "at the data, or train the model first."
        )
    return loss
