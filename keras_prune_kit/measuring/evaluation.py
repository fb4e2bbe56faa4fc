"""How good a model or an exported file is, by one and the same metrics."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    batch_count,
    batches,
    check_rereadable,
    fit_arguments,
    input_samples,
    join,
    labelled_samples,
    map_arrays,
    parts,
)
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.checks import check_objective, using
from keras_prune_kit._tools.names import labels_by_output
from keras_prune_kit.tflite import TFLiteModel, accuracy

_MASKED_AT_ONCE = 256


class Evaluation:
    """Scores models and exported files on the same data by the same metrics.

    Args:
        data: What `evaluate` takes: `(x, y)`, `(x, y, sample_weight)`, or a dataset.
        reference: A compiled model whose metrics count; its loss, if it has none.
            Defaults to `None`: plain accuracy, `<output>_accuracy` of several outputs.
        name: What the data are called in messages.
        objective: The metric that decides, as `evaluate` calls it. Defaults to `None`:
            the first that the model was compiled with.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`:
            what `metric_direction` finds.
        are_steps: Whether inputs of the type of a quantized file are what it takes, and
            not real values as Keras has them. Defaults to `False`.

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
        are_steps: bool = False,
    ) -> None:
        check_rereadable(data, name)
        self._data = data
        self._reference = reference
        self._name = name
        self._objective = objective
        self._mode = mode
        self._are_steps = are_steps

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
        # A loss by Keras has penalties on weights and activations in it, no file's has.
        is_loss = self.metrics == ("loss",)
        if self._reference is not None and _keras.is_compiled(model) and not is_loss:
            scores = self._evaluate(model, self._data)
            if all(metric in scores for metric in self.metrics):
                return self._numbers(scores)
        return self._score(model)

    def tflite(self, exported: TFLiteModel) -> dict[str, float]:
        """The metrics of an exported file, as its interpreter runs it."""
        return self._score(exported)

    def predict(self, model: Any, x: Any) -> Any:
        """The outputs of a Keras model or a `TFLiteModel` for many samples."""
        if not isinstance(model, TFLiteModel):
            with _keras.at_rest(model):
                return model.predict(
                    x,
                    batch_size=_keras.fixed_batch(model),
                    verbose=0,
                    callbacks=[StageProgress()],
                )
        is_quantized = any(item.scale for item in model.inputs)
        if is_quantized and not self._are_steps:
            x = map_arrays(_real, x)
        return model.predict(x)

    def inputs(self, count: int) -> Any:
        """The inputs of some samples."""
        return input_samples(self._data, self._in_whole_batches(count))

    def samples(self, count: int) -> tuple[Any, Any] | None:
        """Some samples with their labels; `None` of data without."""
        return labelled_samples(self._data, self._in_whole_batches(count))

    def _in_whole_batches(self, count: int) -> int:
        """Round a number of samples up, where the reference has a fixed batch."""
        batch = self._reference is not None and _keras.fixed_batch(self._reference)
        return math.ceil(count / batch) * batch if batch else count

    def _score(self, model: Any) -> dict[str, float]:
        predicted, wanted, masks = [], [], []
        with progress.stage("evaluating", batch_count(self._data)) as stage:
            for x, *rest in batches(self._data):
                predicted.append(_named(model, self.predict(model, x)))
                wanted.append(rest)
                masks.append(self._masks(x))
                stage.advance()
        outputs, (y, *weight) = join(predicted), join(wanted)
        if self._reference is None:
            return _accuracies(outputs, y)
        predictions = _keras.arrange(self._reference, outputs, self._example)
        predictions = _keras.with_masks(predictions, join(masks))
        scores = self._evaluate(self._scorer, (predictions, y, *weight))
        return self._numbers(scores)

    def _numbers(self, scores: dict[str, Any]) -> dict[str, float]:
        return {metric: np.asarray(scores[metric]).item() for metric in self.metrics}

    @functools.cached_property
    def _scorer(self) -> Any:
        """Once, as tracing one takes longer than scoring thousands of samples."""
        return _keras.scorer(self._reference)

    def _masks(self, x: Any) -> dict[str, np.ndarray]:
        """What of the outputs is padding, in parts: they are computed one by one."""
        if not self._has_masks:
            return {}
        size = _keras.fixed_batch(self._reference) or _MASKED_AT_ONCE
        return join([_keras.output_masks(self._reference, p) for p in parts(x, size)])

    @functools.cached_property
    def _has_masks(self) -> bool:
        """Whether Keras leaves padding out of the scores of the reference."""
        return self._reference is not None and bool(
            _keras.output_masks(self._reference, self.inputs(1))
        )

    @functools.cached_property
    def _example(self) -> Any:
        """What the outputs of the reference look like."""
        return self.predict(self._reference, self.inputs(1))

    @staticmethod
    def _evaluate(model: Any, data: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"verbose": 0, "callbacks": [StageProgress()]}
        if isinstance(data, tuple):
            options["batch_size"] = _keras.fixed_batch(model)
        with _keras.at_rest(model):
            return model.evaluate(**fit_arguments(data), **options, return_dict=True)


def _real(array: Any) -> np.ndarray:
    """Real values in a type that no file takes for steps."""
    array = np.asarray(array)
    is_small = array.dtype.kind in "iu" and array.itemsize < 4
    return array.astype(np.float32) if is_small else array


def _named(model: Any, outputs: Any) -> dict[str, np.ndarray]:
    """What a model gives by name."""
    if not isinstance(model, TFLiteModel):
        return _keras.named_outputs(model, outputs)
    names = [item.name for item in model.outputs]
    arrays = outputs if len(names) > 1 else [outputs]
    return dict(zip(names, arrays, strict=True))


def _accuracies(outputs: dict[str, np.ndarray], y: Any) -> dict[str, float]:
    labels = labels_by_output(y, list(outputs))
    scores = [
        accuracy(np.asarray(wanted), np.asarray(predicted))
        for wanted, predicted in zip(labels, outputs.values(), strict=True)
    ]
    if len(scores) == 1:
        return {"accuracy": scores[0]}
    names = (f"{name}_accuracy" for name in outputs)
    return dict(zip(names, scores, strict=True))


def _check_number(metric: str, score: Any) -> None:
    if np.size(score) != 1:
        raise ValueError(
            f"The metric that decides must be one number. Received: '{metric}' with "
            f"{np.size(score)} of them, as of one a class. Compile it with an average, "
            "such as average='macro', or pass another metric as objective."
        )
