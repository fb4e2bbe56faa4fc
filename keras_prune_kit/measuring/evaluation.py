"""The evaluation of models and exported files by the same metrics."""

from __future__ import annotations

import functools
import math
import warnings
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
    length,
    map_arrays,
    parts,
)
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.checks import check_objective, using
from keras_prune_kit._tools.names import labels_by_output
from keras_prune_kit.tflite import TFLiteModel, accuracy

# Fewer samples choose by chance: one of 50 is two percentage points.
LEAST_SAMPLES = 50

_MASKED_AT_ONCE = 256  # Samples, to bound the memory.


class Evaluation:
    """Evaluation of models and exported files on the same data by the same metrics.

    Args:
        data: Data as `evaluate` accepts them: `(x, y)`, `(x, y, sample_weight)`, or a
            dataset.
        reference: A compiled model, whose metrics are used, or its loss if it has none.
            Defaults to `None`: plain accuracy, `<output>_accuracy` for several outputs.
        name: The name of the data in messages. Defaults to `"data"`.
        objective: The metric that decides, by its name in `evaluate`. Defaults to
            `None`: the first that the model was compiled with.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`:
            the result of `metric_direction`.
        are_steps: If True, integer inputs of a quantized file are already quantized, in
            steps of its scale. If False, they are real values, as for a Keras model.
            Defaults to `False`.

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
        self._answers: int | None = None

    @functools.cached_property
    def metrics(self) -> tuple[str, ...]:
        """The names of the scalar metrics, the one that decides first."""
        if self._reference is None:
            return ("accuracy",)
        with using(self._name):
            scores = self._evaluate(self._reference, self._data)
        names = _keras.metric_names(self._reference, scores) or ("loss",)
        if self._objective is not None:
            # Any score may decide, also the loss, which is not among the names.
            check_objective(self._objective, scores)
            names = tuple(dict.fromkeys((self._objective, *names)))
        _check_number(names[0], scores[names[0]])
        # A metric such as an F1 score without an average has one value per class.
        return tuple(name for name in names if np.size(scores[name]) == 1)

    @property
    def metric(self) -> str:
        """The name of the metric that decides."""
        return self.metrics[0]

    @property
    def mode(self) -> str | None:
        """`"max"` if more of it is better, `"min"` if less is; `None` if unknown."""
        return self.mode_of(self.metric) if self._mode == "auto" else self._mode

    def mode_of(self, metric: str) -> str | None:
        """Return `"max"`, `"min"` or `None`, as in `mode`, for any of the metrics."""
        if self._reference is None:
            return "max"
        return _keras.metric_direction(self._reference, metric)

    def known_mode(self) -> str:
        """Return the mode, or raise an error if it is unknown.

        Raises:
            ValueError: If it is unknown.
        """
        return _keras.known_direction(self.metric, self.mode)

    def keras(self, model: Any) -> dict[str, float]:
        """Return the metrics of a Keras model, by name."""
        # Keras adds regularization penalties to the loss, which a file's loss lacks.
        is_loss = self.metrics == ("loss",)
        if self._reference is not None and _keras.is_compiled(model) and not is_loss:
            scores = self._evaluate(model, self._data)
            # A model compiled with other metrics is scored by those of the reference.
            if all(metric in scores for metric in self.metrics):
                return self._numbers(scores)
        return self._score(model)

    def tflite(self, exported: TFLiteModel) -> dict[str, float]:
        """Return the metrics of an exported file in the interpreter, by name."""
        return self._score(exported)

    @property
    def answers(self) -> int | None:
        """The number of samples whose right answers the metric that decides counts.

        `None` if it is no plain accuracy, if a sample has several answers, such as one
        per token, label or output, and before the first file is scored.
        """
        reference = self._reference
        is_plain = reference is None or _keras.is_plain_accuracy(reference, self.metric)
        return self._answers if is_plain else None

    def predict(self, model: Any, x: Any) -> Any:
        """Return the outputs of a Keras model or a `TFLiteModel` for many samples."""
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
        """Return the inputs of some samples."""
        return input_samples(self._data, self._in_whole_batches(count))

    def samples(self, count: int) -> tuple[Any, Any] | None:
        """Return some samples with their labels; `None` for data without labels."""
        return labelled_samples(self._data, self._in_whole_batches(count))

    def _in_whole_batches(self, count: int) -> int:
        """Round a number of samples up, where the reference has a fixed batch."""
        batch = self._reference is not None and _keras.fixed_batch(self._reference)
        # A fixed batch size, as of stateful layers, accepts no other number.
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
        self._answers = length(outputs) if _are_single_answers(y) else None
        if self._reference is None:
            return _accuracies(outputs, y)
        predictions = _keras.arrange(self._reference, outputs, self._example)
        predictions = _keras.with_masks(predictions, join(masks))
        # Keras itself scores them, so that files and models have the same metrics.
        scores = self._evaluate(self._scorer, (predictions, y, *weight))
        return self._numbers(scores)

    def _numbers(self, scores: dict[str, Any]) -> dict[str, float]:
        return {metric: np.asarray(scores[metric]).item() for metric in self.metrics}

    @functools.cached_property
    def _scorer(self) -> Any:
        """The scorer; cached, as tracing one takes longer than scoring many samples."""
        return _keras.scorer(self._reference)

    def _masks(self, x: Any) -> dict[str, np.ndarray]:
        """Return the padding masks of the outputs, computed in parts to save memory."""
        if not self._has_masks:
            return {}
        size = _keras.fixed_batch(self._reference) or _MASKED_AT_ONCE
        return join([_keras.output_masks(self._reference, p) for p in parts(x, size)])

    @functools.cached_property
    def _has_masks(self) -> bool:
        """True if Keras excludes padding from the scores of the reference."""
        return self._reference is not None and bool(
            _keras.output_masks(self._reference, self.inputs(1))
        )

    @functools.cached_property
    def _example(self) -> Any:
        """The reference's outputs for one sample, as an example of their structure."""
        return self.predict(self._reference, self.inputs(1))

    @staticmethod
    def _evaluate(model: Any, data: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"verbose": 0, "callbacks": [StageProgress()]}
        if isinstance(data, tuple):
            # A dataset has its batches already.
            options["batch_size"] = _keras.fixed_batch(model)
        with _keras.at_rest(model):
            return model.evaluate(**fit_arguments(data), **options, return_dict=True)


def warn_of_few_samples(data: Any, name: str) -> None:
    """Warn of data by whose samples no two models can be told apart.

    Args:
        data: Data that can be read again.
        name: The name of the data in the message.
    """
    with using(name):
        is_arrays = isinstance(data, tuple)
        count = length(data[0] if is_arrays else input_samples(data, LEAST_SAMPLES))
    if 0 < count < LEAST_SAMPLES:
        warnings.warn(
            f"{name} have {count} samples, so that each is worth {1 / count:.2g} of an "
            "accuracy and what they choose is largely chance: hold out "
            f"{LEAST_SAMPLES} or more.",
            stacklevel=3,
        )


def _real(array: Any) -> np.ndarray:
    """Convert small integers to float32, which is never taken for quantized values."""
    array = np.asarray(array)
    is_small = array.dtype.kind in "iu" and array.itemsize < 4
    return array.astype(np.float32) if is_small else array


def _named(model: Any, outputs: Any) -> dict[str, np.ndarray]:
    """Return the outputs of a model by name."""
    if not isinstance(model, TFLiteModel):
        return _keras.named_outputs(model, outputs)
    names = [item.name for item in model.outputs]
    arrays = outputs if len(names) > 1 else [outputs]
    return dict(zip(names, arrays, strict=True))


def _are_single_answers(y: Any) -> bool:
    """Return True for labels of one class, or one yes or no, per sample."""
    if isinstance(y, dict | list | tuple):
        return False
    labels = np.asarray(y)
    is_column = labels.ndim == 1 or labels.shape[1:] == (1,)
    return is_column or (labels.ndim == 2 and np.allclose(labels.sum(axis=-1), 1))


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
            f"The metric that decides must be a scalar. Received: '{metric}' with "
            f"{np.size(score)} values, such as one per class. Compile it with an "
            "average, such as average='macro', or pass another metric as objective."
        )
