"""The loss of a model on a sample of data."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.datasets import as_arrays, parts
from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.operations import tree_of
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
        self._tree = tree_of(world(model))
        self._model = model
        self._batches = list(parts(as_arrays(x, "data"), _BATCH))
        self._scorer = scorer(model)

    def __call__(self) -> float:
        # `predict` and `evaluate` take longer to start than a small model to run.
        found = [self._model.predict_on_batch(batch) for batch in self._batches]
        predictions = self._tree.map_structure(lambda *a: np.concatenate(a), *found)
        self._scorer.reset_metrics()
        scores = self._scorer.test_on_batch(predictions, self._y, return_dict=True)
        return float(scores["loss"])
