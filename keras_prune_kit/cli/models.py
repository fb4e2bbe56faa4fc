"""Models of the command line: loading, input shapes, data and compiling."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np

import keras_prune_kit.layers  # noqa: F401  so that Keras can load PrunableDense
from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import labelled_samples
from keras_prune_kit._tools.progress import stage
from keras_prune_kit.cli.data import PictureSource, Source, source_of
from keras_prune_kit.tflite import TFLiteModel

_log = logging.getLogger(__name__)

_OPTIMIZER = "adam"
_BATCH_SIZE = 32
_SAMPLES = 256


def load(path: str, *, compiled: bool = False, unsafe: bool = False) -> Any:
    """Load a model file; see `_keras.load`."""
    with stage("loading the model"):
        return _keras.load(path, compiled=compiled, unsafe=unsafe)


def source(word: str, model: Any, batch_size: int | None = None) -> Source:
    """Return the source for DATA on the command line, suited to a model.

    Raises:
        ValueError: If there are no such data, or the number of classes differs.
    """
    found = source_of(
        word,
        shape=input_shape(model),
        # Pictures get their labels from folders, in the form that the loss needs.
        label_mode=label_mode(model),
        utils=_utils_of(model),
        batch_size=batch_size or _BATCH_SIZE,
    )
    wanted = _classes(model)
    wanted = 2 if wanted == 1 else wanted  # A single sigmoid separates two classes.
    if isinstance(found, PictureSource) and wanted not in (None, len(found.classes)):
        raise ValueError(
            f"{word} must have one folder per class of the model. Received: "
            f"{len(found.classes)} class folders ({', '.join(found.classes)}) for "
            f"{wanted} classes."
        )
    return found


def input_shape(model: Any) -> tuple[int | None, ...] | None:
    """Return the shape of a single input, batch axis first; `None` for several inputs.

    Args:
        model: A built Keras model or a `TFLiteModel`.
    """
    is_tflite = isinstance(model, TFLiteModel)
    inputs = model.inputs if is_tflite else _keras.signature_of(model).inputs
    return inputs[0].shape if len(inputs) == 1 else None


def label_mode(model: Any) -> str:
    """Return the form of labels that a model's output and loss need."""
    if _classes(model) == 1:
        return "binary"
    name = _loss_name(model)
    # `sparse_categorical_crossentropy` takes class numbers.
    return "categorical" if "categorical" in name and "sparse" not in name else "int"


def compile_for(model: Any, data: Any) -> None:
    """Compile a model with a loss that fits its labels, and log the choice.

    Args:
        model: A built model.
        data: `(x, y)` or a dataset of such batches.

    Raises:
        ValueError: If there are several outputs, whose losses cannot be inferred, or
            no labels.
    """
    labelled = labelled_samples(data, _SAMPLES)
    if labelled is None:
        raise ValueError(
            "The data must have labels, since the model is not compiled and its loss "
            "is chosen by them. Received: data without labels."
        )
    x, y = labelled
    predictions = model.predict_on_batch(x)
    if not hasattr(predictions, "shape") or not hasattr(y, "shape"):
        raise ValueError(
            "A model with several outputs must be compiled before it is saved, so that "
            "its losses are known."
        )
    loss, metric = _loss_for(np.asarray(predictions), y, _keras.world(model))
    model.compile(_OPTIMIZER, loss, metrics=[metric])
    _log.info(
        "The model file has no compile configuration, or one that needs custom code. "
        "Compiled with %s, %s and %s, which fit the labels.",
        _OPTIMIZER,
        loss.name,
        metric,
    )


def judged_by_outputs(model: Any, x: Any) -> tuple[Any, tuple[Any, Any]]:
    """Return a copy that is measured without labels, and the data to do so.

    Its metric is the mean absolute distance from the outputs of the model.

    Args:
        model: A built model, compiled or not. It is not changed.
        x: Inputs to measure with.

    Raises:
        ValueError: If it has several outputs.
    """
    outputs = model.predict(x, batch_size=_keras.fixed_batch(model), verbose=0)
    if not hasattr(outputs, "shape"):
        raise ValueError(
            "Without labels, the files of a model with one output are measured by the "
            f"distance from the outputs of the model. Received: {len(outputs)} outputs."
            " Add --validation DATA with labels."
        )
    judged = _keras.copy_model(model)
    metric = _keras.world(model).metrics.MeanAbsoluteError(name="distance")
    judged.compile(_OPTIMIZER, "mse", metrics=[metric])
    _log.info(
        "There are no labels: the files are measured by the mean absolute distance "
        "from the outputs of the model. --validation DATA with labels gives a score."
    )
    return judged, (x, outputs)


def check_labels(model: Any, data: Any) -> None:
    """Raise a `ValueError` if class numbers exceed the outputs of the model.

    Args:
        model: A compiled model.
        data: As for `compile_for`. Of a dataset, only the first batches are checked.
    """
    labelled = data if isinstance(data, tuple) else labelled_samples(data, _SAMPLES)
    y = labelled[1] if labelled else None
    classes = _classes(model)
    if "sparse" not in _loss_name(model) or not classes or not hasattr(y, "min"):
        return
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"Labels must be classes of the model, 0 to {classes - 1}. Received: "
            f"labels from {y.min()} to {y.max()}."
        )


def _loss_for(predictions: np.ndarray, y: np.ndarray, world: Any) -> tuple[Any, str]:
    """Return a loss and a metric that fit the labels."""
    losses, units = world.losses, predictions.shape[-1]
    is_probability = predictions.min() >= 0 and predictions.max() <= 1
    is_zero_or_one = np.isin(y, (0, 1)).all()
    # One class number for each row of outputs.
    if y.dtype.kind in "biu" and units > 1 and y.size == predictions.size // units:
        is_distribution = is_probability and _sums_to_one(predictions)
        # Rows that are no distributions must be logits.
        loss = losses.SparseCategoricalCrossentropy(from_logits=not is_distribution)
        return loss, "accuracy"
    same_shape = y.size == predictions.size
    if is_zero_or_one and same_shape and units > 1 and _sums_to_one(y):
        is_distribution = is_probability and _sums_to_one(predictions)
        loss = losses.CategoricalCrossentropy(from_logits=not is_distribution)
        return loss, "accuracy"
    if is_zero_or_one and same_shape:
        loss = losses.BinaryCrossentropy(from_logits=not is_probability)
        return loss, "binary_accuracy"
    return losses.MeanSquaredError(), "mae"


def _sums_to_one(rows: np.ndarray) -> bool:
    return bool(np.allclose(rows.sum(-1), 1, atol=1e-3))


def _classes(model: Any) -> int | None:
    """Return the number of units of a single output `(n, units)`, or else `None`."""
    if isinstance(model, TFLiteModel):
        shape = model.outputs[0].shape if len(model.outputs) == 1 else None
    else:
        shape = getattr(model, "output_shape", None)
    is_one = isinstance(shape, tuple) and len(shape) == 2
    return shape[-1] if is_one and isinstance(shape[-1], int) else None


def _utils_of(model: Any) -> Any:
    """Return the `utils` of the model's own Keras; those of Keras 3 for a .tflite."""
    is_tflite = isinstance(model, TFLiteModel)
    return keras.utils if is_tflite else _keras.world(model).utils


def _loss_name(model: Any) -> str:
    loss = getattr(model, "loss", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    return str(name or getattr(loss, "__name__", "")).lower()
