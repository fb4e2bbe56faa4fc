"""Averages of gradients over a sample of data."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit._keras.datasets import as_arrays, length, map_arrays
from keras_prune_kit._keras.losses import check_sample
from keras_prune_kit._keras.models import backend_of, world
from keras_prune_kit._keras.operations import ops_of
from keras_prune_kit._keras.variables import variables_of

_FUNCTIONS = {"signed": lambda g: g, "absolute": abs, "squared": lambda g: g * g}


class GradientProbe:
    """Averages of the gradients of the loss over a sample of data.

    Args:
        model: A compiled model.
        data: `(x, y)`, arrays or nests of arrays for several inputs and outputs.
        variables: The variables to differentiate with respect to.

    Raises:
        ValueError: If the model is not compiled or the data are not `(x, y)`.
    """

    def __init__(self, model: Any, data: Any, variables: Sequence[Any]) -> None:
        check_sample(model, data)
        self._model = model
        self._data = as_arrays(data, "data")
        self._ops = ops_of(world(model))
        self._variables = list(variables)
        # Imported by name, as each imports its own backend.
        backend = importlib.import_module(f"{__package__}.{backend_of(model)}")
        self._gradients = backend.make_gradients(model, self._variables)

    def mean(self, statistic: str, batch_size: int) -> list[np.ndarray]:
        """Return the mean over batches of a function of the gradients.

        Args:
            statistic: `"signed"`, `"absolute"` or `"squared"`.
            batch_size: The number of samples per batch; 1 for per-sample gradients.

        Returns:
            One array per variable, of its shape.
        """
        variables_of(self._model).sync()
        counters = [v for metric in self._model.metrics for v in metric.variables]
        before = [self._ops.convert_to_numpy(variable) for variable in counters]
        sums: list[Any] = [0.0] * len(self._variables)
        # A smaller last batch would count as much in the mean as a full one.
        count = max(1, length(self._data) // batch_size)
        for start in range(0, count * batch_size, batch_size):
            x, y = map_arrays(lambda a, s=start: a[s : s + batch_size], self._data)
            found = [self._widened(g) for g in self._gradients(x, y)]
            terms = [_FUNCTIONS[statistic](gradient) for gradient in found]
            sums = (
                terms
                if sums is None
                else [a + b for a, b in zip(sums, terms, strict=True)]
            )
        # Computing a loss adds it to the metric that `fit` displays; undo that.
        for variable, value in zip(counters, before, strict=True):
            variable.assign(value)
        return [self._ops.convert_to_numpy(total) / count for total in sums]

    def _widened(self, gradient: Any) -> Any:
        """Cast to float32 at least: in float16, squares of small gradients are 0."""
        name = getattr(gradient.dtype, "name", str(gradient.dtype))
        # Also bfloat16.
        is_half = name.endswith("float16")
        return self._ops.cast(gradient, "float32") if is_half else gradient
