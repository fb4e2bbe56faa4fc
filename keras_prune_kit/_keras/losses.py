"""The loss of a model on a sample of data."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.scoring import scorer

_BATCH = 128


def check_sample(model: Any, data: Any) -> None:
    """Raise a `ValueError` unless the data are `(x, y)` and the model has a loss."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise ValueError(
            "data are a sample of the training data, (x, y), both arrays. "
            f"Received: {type(data)}."
        )
    if getattr(model, "loss", None) is None:
        raise ValueError(
            f"Model '{model.name}' must be compiled with a loss, so that it can be "
            "measured on the data. Call model.compile(optimizer, loss) first."
        )


class LossProbe:
    """The loss of a model on a sample, without regularization losses.

    Calling it evaluates the model with its current weights.

    Args:
        model: A compiled model.
        data: `(x, y)`, arrays or nests of arrays for several inputs and outputs.

    Raises:
        ValueError: If the model is not compiled or the data are not `(x, y)`.
    """

    def __init__(self, model: Any, data: Any) -> None:
        check_sample(model, data)
        x, self._y = data
        self._nest = sys.modules["tensorflow"].nest
        self._model = model
        count = len(self._nest.flatten(x)[0])
        self._batches = [self._slice(x, start) for start in range(0, count, _BATCH)]
        self._scorer = scorer(model)

    def __call__(self) -> float:
        # `predict` and `evaluate` take longer to start than a small model to run.
        parts = [self._model.predict_on_batch(batch) for batch in self._batches]
        predictions = self._nest.map_structure(lambda *a: np.concatenate(a), *parts)
        self._scorer.reset_metrics()
        scores = self._scorer.test_on_batch(predictions, self._y, return_dict=True)
        return float(scores["loss"])

    def _slice(self, x: Any, start: int) -> Any:
        return self._nest.map_structure(lambda array: array[start : start + _BATCH], x)
