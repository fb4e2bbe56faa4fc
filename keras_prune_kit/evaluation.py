"""How good a model or an exported file is, by one and the same metrics."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keras_prune_kit import _keras, progress
from keras_prune_kit.callbacks import StageProgress
from keras_prune_kit.checks import check_objective, using
from keras_prune_kit.datasets import (
    batch_count,
    batches,
    check_rereadable,
    fit_arguments,
    input_samples,
    join,
    labelled_samples,
)
from keras_prune_kit.tflite import TFLiteModel, accuracy


class Evaluation:
    """Scores models and exported files on the same data by the same metrics.

    Args:
        data: What `evaluate` takes: `(x, y)`, `(x, y, sample_weight)`, or a dataset.
        reference: A compiled model whose metrics count; its loss, if it has none.
            Defaults to `None`: plain accuracy.
        name: What the data are called in messages.
        objective: The metric that decides, as `evaluate` calls it. Defaults to `None`:
            the first that the model was compiled with.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`:
            what `metric_direction` finds.

    Raises:
        ValueError: If the data can be read only once.
    """

    def __init__(
        self,
        data: Any,
        reference: Any = None,
        name: str = "data",
        *,
        objective: str | None = None,
        mode: str = "auto",
    ) -> None:
        check_rereadable(data, name)
        self._data = data
        self._reference = reference
        self._name = name
        self._objective = objective
        self._mode = mode
        self._scorer: Any = None

    @functools.cached_property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that are one number, the one that decides first."""
        if self._reference is None:
            return ("accuracy",)
        with using(self._name):
            scores = self._evaluate(self._reference, self._data)
        names = _keras.metric_names(self._reference, scores) or ("loss",)
        if self._objective is not None:
            check_objective(self._objective, scores)
            names = tuple(dict.fromkeys((self._objective, *names)))
        _check_number(names[0], scores[names[0]])
        return tuple(name for name in names if np.size(scores[name]) == 1)

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def mode(self) -> str | None:
        """`"max"` if more of it is better, `"min"` if less is; `None` if unknown."""
        return self.mode_of(self.metric) if self._mode == "auto" else self._mode

    def mode_of(self, metric: str) -> str | None:
        """Likewise of any of the metrics, as far as Keras knows."""
        if self._reference is None:
            return "max"
        return _keras.metric_direction(self._reference, metric)

    def known_mode(self) -> str:
        """The mode where there must be one.

        Raises:
            ValueError: If nobody knows it.
        """
        return _keras.known_direction(self.metric, self.mode)

    def keras(self, model: Any) -> dict[str, float]:
        """The metrics of a Keras model, by name."""
        if self._reference is not None and _keras.is_compiled(model):
            scores = self._evaluate(model, self._data)
            if all(metric in scores for metric in self.metrics):
                return self._numbers(scores)
        return self._score(model)

    def tflite(self, exported: TFLiteModel) -> dict[str, float]:
        """The metrics of an exported file, as its interpreter runs it."""
        return self._score(exported)

    def inputs(self, count: int) -> Any:
        """The inputs of some samples."""
        return input_samples(self._data, count)

    def samples(self, count: int) -> tuple[Any, Any] | None:
        """Some samples with their labels; `None` of data without."""
        return labelled_samples(self._data, count)

    def _score(self, model: Any) -> dict[str, float]:
        predicted, wanted = [], []
        with progress.stage("evaluating", batch_count(self._data)) as stage:
            for x, *rest in batches(self._data):
                predicted.append(predict(model, x))
                wanted.append(rest)
                stage.advance()
        predictions, (y, *weight) = join(predicted), join(wanted)
        if self._reference is None:
            return {"accuracy": accuracy(np.asarray(y), np.asarray(predictions))}
        if self._scorer is None:  # Tracing one takes longer than scoring thousands.
            self._scorer = _keras.scorer(self._reference, predictions)
        scores = self._evaluate(self._scorer, (predictions, y, *weight))
        return self._numbers(scores)

    def _numbers(self, scores: dict[str, Any]) -> dict[str, float]:
        return {metric: np.asarray(scores[metric]).item() for metric in self.metrics}

    @staticmethod
    def _evaluate(model: Any, data: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"verbose": 0, "callbacks": [StageProgress()]}
        return model.evaluate(**fit_arguments(data), **options, return_dict=True)


def predict(model: Any, x: Any) -> Any:
    """The outputs of a Keras model or a `TFLiteModel` for many samples."""
    if isinstance(model, TFLiteModel):
        return model.predict(x)
    return model.predict(x, verbose=0, callbacks=[StageProgress()])


def _check_number(metric: str, score: Any) -> None:
    if np.size(score) != 1:
        raise ValueError(
            f"The metric that decides must be one number. Received: '{metric}' with "
            f"{np.size(score)} of them, as of one a class. Compile it with an average, "
            "such as average='macro', or pass another metric as objective."
        )
