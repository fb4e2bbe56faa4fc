"""New averages for batch normalization, without training."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.layer_inputs.model_inputs import in_batches
from keras_prune_kit.reconstruction.divergence import divergence, outputs_in_batches
from keras_prune_kit.reconstruction.reconstruct import checked_pair
from keras_prune_kit.reconstruction.walk import Step, run_steps


def reestimate_batch_norm(
    pruned: Any, dense_model: Any, *, data: Any, batch_size: int | None = None
) -> bool:
    """Set the averages of batch normalization anew, if outputs come closer to dense.

    The zeros of a model that was pruned without `reconstruct` change the means and
    variances that its BatchNormalization layers have stored. After `reconstruct` they
    often are right already; then they stay.

    Args:
        pruned: A pruned model of either world, on any backend. It is changed in place.
        dense_model: The model before it was pruned.
        data: Inputs like those of training, without labels, as in `reconstruct`.
        batch_size: As in `reconstruct`; the averages are of all batches together.
            Defaults to `None`: all samples at once.

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
    batches, handle = (
        in_batches(dense_model, data, batch_size),
        _keras.variables_of(pruned),
    )
    handle.sync()
    layers = [
        part
        for part in _keras.parts_of(pruned)
        if _keras.known_kind(part) == "BatchNormalization"
    ]
    variables = [v for part in layers for v in (part.moving_mean, part.moving_variance)]
    # Copies: on some backends `read` returns a view.
    before = [np.array(handle.read(variable)) for variable in variables]
    wanted = outputs_in_batches(dense_model, batches)
    calls: Counter[int] = Counter()

    def count(layer: Any, arrays: list[np.ndarray | None]) -> bool:
        calls[id(layer)] += 1
        return False

    old = divergence(wanted, outputs_in_batches(pruned, batches, layers, count))
    steps = [
        _Averages(part, calls[id(part)] // len(batches.inputs), handle)
        for part in layers
        if calls[id(part)]
    ]
    is_better = False
    try:
        run_steps(pruned, batches.inputs, steps)
        is_better = divergence(wanted, outputs_in_batches(pruned, batches)) < old
    finally:
        if not is_better:
            for variable, value in zip(variables, before, strict=True):
                handle.write(variable, value)
    return is_better


class _Averages(Step):
    """Mean and variance of the inputs of a layer, over all of its calls."""

    def __init__(self, layer: Any, calls: int, handle: _keras.Variables) -> None:
        self.layer = layer
        self._calls = calls
        self._handle = handle
        self._sums: Any = 0.0
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def calls_in(self, batch: int) -> int:
        return self._calls

    def start(self) -> None:
        self._sums = 0.0

    def take(self, x: np.ndarray, batch: int, call: int) -> None:
        (axis,) = np.atleast_1d(np.asarray(self.layer.axis))
        flat = np.moveaxis(x.astype(np.float64), int(axis), -1)
        flat = flat.reshape(-1, flat.shape[-1])
        self._sums += np.stack([np.full(flat.shape[1], len(flat)), *_powers(flat)])

    def finish(self) -> None:
        count, total, squares = self._sums
        mean = total / count
        self._write(self.layer.moving_mean, mean)
        self._write(
            self.layer.moving_variance, np.maximum(squares / count - mean**2, 0)
        )
        self._is_done = True

    def give_up(self) -> None:
        self._is_done = True

    def missed(self, calls: int) -> ValueError:
        return ValueError(
            f"Layers are called equally often for all batches. Received: "
            f"{self.layer.name} is called {calls} times, then {self._calls}."
        )

    def _write(self, variable: Any, value: np.ndarray) -> None:
        self._handle.write(variable, value.astype(self._handle.read(variable).dtype))


def _powers(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of values and of their squares, by channel."""
    return flat.sum(0), np.einsum("rc,rc->c", flat, flat)
