"""New averages for batch normalization, without training."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.reconstruction.divergence import divergence
from keras_prune_kit.reconstruction.inputs import one_batch
from keras_prune_kit.reconstruction.reconstruct import checked_pair


def reestimate_batch_norm(pruned: Any, dense_model: Any, *, data: Any) -> bool:
    """Set the averages of batch normalization anew, if outputs come closer to dense.

    The zeros of a model that was pruned without `reconstruct` change the means and
    variances that its BatchNormalization layers have stored. After `reconstruct` they
    often are right already; then they stay.

    Args:
        pruned: A pruned model of either world, on any backend. It is changed in place.
        dense_model: The model before it was pruned.
        data: Inputs like those of training, without labels, as in `reconstruct`.

    Returns:
        True if the new averages were kept: the squared difference of the outputs from
        those of the dense model, on the same inputs, fell.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a model is not built, outputs do not match, or inputs are of
            another shape or not finite.

    Example:

    ```python
    is_better = kpk.reestimate_batch_norm(pruned, model, data=x_train[:512])
    ```

    Source: Frantar and Alistarh 2022, arXiv 2208.11580, "batchnorm tuning".
    """
    pruned, dense_model = checked_pair(pruned, dense_model)
    x, handle = one_batch(dense_model, data), _keras.variables_of(pruned)
    handle.sync()
    layers = [
        part
        for part in _keras.parts_of(pruned)
        if _keras.known_kind(part) == "BatchNormalization"
    ]
    variables = [v for part in layers for v in (part.moving_mean, part.moving_variance)]
    # Copies: on some backends `read` returns a view.
    before = [np.array(handle.read(variable)) for variable in variables]
    wanted = _keras.watched_pass(dense_model, x, (), _ignore)
    old = divergence(wanted, _keras.watched_pass(pruned, x, (), _ignore))
    is_better = False
    try:
        _keras.watched_pass(pruned, x, layers, _Averages(handle))
        new = divergence(wanted, _keras.watched_pass(pruned, x, (), _ignore))
        is_better = new < old
    finally:
        if not is_better:
            for variable, value in zip(variables, before, strict=True):
                handle.write(variable, value)
    return is_better


class _Averages:
    """Mean and variance of the inputs of each layer, over all of its calls."""

    def __init__(self, handle: _keras.Variables) -> None:
        self._handle = handle
        self._sums: dict[int, Any] = defaultdict(lambda: 0.0)

    def __call__(self, layer: Any, x: np.ndarray | None) -> None:
        if x is None:
            return
        (axis,) = np.atleast_1d(np.asarray(layer.axis))
        flat = np.moveaxis(x.astype(np.float64), int(axis), -1)
        flat = flat.reshape(-1, flat.shape[-1])
        ones = np.ones_like(flat)
        self._sums[id(layer)] += np.stack([ones, flat, flat**2]).sum(1)
        count, total, squares = self._sums[id(layer)]
        mean = total / count
        self._write(layer.moving_mean, mean)
        self._write(layer.moving_variance, np.maximum(squares / count - mean**2, 0))

    def _write(self, variable: Any, value: np.ndarray) -> None:
        self._handle.write(variable, value.astype(self._handle.read(variable).dtype))


def _ignore(layer: Any, x: np.ndarray | None) -> None:
    """See nothing: the outputs of the pass are all that is wanted."""
