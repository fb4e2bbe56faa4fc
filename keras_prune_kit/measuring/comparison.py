"""Comparison of models and files, each measured as it would be deployed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    as_arrays,
    check_data,
    check_samples,
    length,
    shape_of,
)
from keras_prune_kit._tools.checks import as_path, check_whole
from keras_prune_kit._tools.progress import track
from keras_prune_kit.channels import macs_of
from keras_prune_kit.measuring.entropy import entropy_bound
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.measuring.latency import latencies
from keras_prune_kit.measuring.sizes import gzip_bytes, sparse_content
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.reports import (
    Comparison,
    Environment,
    Histogram,
    Measurement,
    Samples,
)
from keras_prune_kit.tflite import TFLiteModel, constants, macs

_SHOWN_SAMPLES = 12


def compare(
    entries: Mapping[str, Any],
    x: Any,
    y: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    latency_runs: int = 50,
) -> Comparison:
    """Measure models and files side by side on the same data.

    Args:
        entries: Models by name, the baseline first: `keras` or `tf_keras` models, paths
            of `.keras`, `.h5` and `.tflite` files, `TFLiteModel`s. The size of a Keras
            model, also of one in a file, is that of its weights without the optimizer.
        x: Inputs as `evaluate` accepts them: arrays of shape `(n, ...)`, or a dataset
            of `(x, y)` batches. Integers are real values, too. Only if all entries are
            files with quantized inputs may they be quantized, as in `TFLiteModel`.
        y: Labels, one per sample; for several outputs a list of them, or a dict by
            output name; `None` with a dataset. Defaults to `None`.
        class_names: The names of the classes, for the samples on the HTML page.
            Defaults to `None`: their numbers.
        latency_runs: The number of runs for the median latency of a .tflite, with one
            thread and one sample; 0 to measure none. Defaults to 50.

    Returns:
        A record that prints as tables, plots, and writes an HTML page. Scores are the
        metrics of the first compiled Keras model, or accuracy if there is none (for
        several outputs `<output>_accuracy`).

    Raises:
        OSError: If a file cannot be read.
        TypeError: If an entry is none of these.
        ValueError: If there is no entry, a file is damaged, or the data do not fit.

    Example:

    ```python
    sizes = kpk.compare({"baseline": model, "int8": "model.tflite"}, x_test, y_test)
    print(sizes)
    sizes.to_html("sizes.html")
    ```
    """
    if not isinstance(entries, Mapping) or not entries:
        raise ValueError(
            "entries are models or files by name, at least one, such as "
            f"{{'baseline': model}}. Received: {entries!r}."
        )
    check_whole("latency_runs", latency_runs, least=0)
    x, y = as_arrays(x, "x"), as_arrays(y, "y")
    _check_class_names(class_names)
    if y is None:
        check_data(x, "x")
    else:
        check_samples(x, "x")
        check_samples(y, "y")
    if y is not None and length(x) != length(y):
        raise ValueError(
            "y must have one label for each sample of x. Received: "
            f"{length(x)} samples and {length(y)} labels."
        )
    models = {name: _open(item) for name, item in entries.items()}
    evaluation = Evaluation(
        x if y is None else (x, y),
        _reference(models.values()),
        "x",
        are_steps=all(map(_is_quantized_file, models.values())),
    )
    return compare_opened(
        models,
        evaluation,
        class_names=class_names,
        latency_runs=latency_runs,
    )


def compare_opened(
    models: Mapping[str, Any],
    evaluation: Evaluation,
    *,
    class_names: Sequence[str] | None = None,
    latency_runs: int = 0,
) -> Comparison:
    """Compare Keras models and `TFLiteModel`s that are already loaded."""
    shown = evaluation.inputs(_SHOWN_SAMPLES)
    outputs = {
        name: _run(name, model, shown, evaluation) for name, model in models.items()
    }
    labelled = evaluation.samples(_SHOWN_SAMPLES)
    measured = [
        measure(name, model, evaluation)
        for name, model in track(list(models.items()), "measuring")
    ]
    files = {n: m for n, m in models.items() if isinstance(m, TFLiteModel)}
    taken: dict[str, float] = {}
    if files and latency_runs:
        taken = latencies(files, evaluation.inputs(1), latency_runs)
    return Comparison(
        measurements=tuple(replace(m, latency_ms=taken.get(m.name)) for m in measured),
        environment=Environment.current(),
        latency_runs=latency_runs,
        samples=labelled and Samples.of(*labelled, outputs, class_names),
    )


def measure(name: str, model: Any, evaluation: Evaluation) -> Measurement:
    """Measure one Keras model or `TFLiteModel`, without its latency.

    The size of a Keras model is that of its weights as an .h5 file. The file that it
    was loaded from may have the state of the optimizer, too, which never ships.

    Args:
        name: Its name in the comparison.
        model: The model.
        evaluation: The evaluation that scores it.
    """
    if isinstance(model, TFLiteModel):
        return _measure_tflite(name, model, evaluation)
    content = _keras.weights_h5(model)
    weights = map(np.asarray, model.get_weights())
    arrays = [array for array in weights if array.dtype.kind not in "OSU"]  # no strings
    kernels = [array for array in arrays if array.ndim > 1]
    # An .h5 file stores each value in whole bytes.
    sparse = sparse_content((array, 0, 8 * array.itemsize) for array in arrays)
    return Measurement(
        name=name,
        file=".h5",
        scores=evaluation.keras(model),
        file_bytes=len(content),
        gzip_bytes=gzip_bytes(content),
        sparse_gzip_bytes=gzip_bytes(sparse),
        parameters=sum(array.size for array in arrays),
        nonzero_parameters=sum(int(np.count_nonzero(array)) for array in arrays),
        weights=sparsity_report(model),
        histogram=_histogram(kernels),
        macs=macs_of(model),
    )


def _measure_tflite(
    name: str, exported: TFLiteModel, evaluation: Evaluation
) -> Measurement:
    content = exported.bytes
    found = list(constants(content))
    weights = [constant for constant in found if constant.is_weight]
    sparse = sparse_content((c.stored, c.zero_point, c.bits) for c in weights)
    return Measurement(
        name=name,
        file=".tflite",
        scores=evaluation.tflite(exported),
        file_bytes=len(content),
        gzip_bytes=exported.gzip_bytes,
        sparse_gzip_bytes=gzip_bytes(_without(content, weights) + sparse),
        parameters=sum(constant.size for constant in found),
        nonzero_parameters=sum(constant.nonzero for constant in found),
        weights=exported.sparsity_report(),
        histogram=_histogram(weight.values for weight in weights),
        bound_bytes=entropy_bound(exported).bound_bytes,
        macs=macs(content),
    )


def _run(name: str, model: Any, x: Any, evaluation: Evaluation) -> Any:
    """Return the outputs for a few samples; an error names the entry."""
    try:
        return evaluation.predict(model, x)
    except Exception as error:  # Each of Keras, TensorFlow, LiteRT has its own.
        takes = model.inputs if isinstance(model, TFLiteModel) else model.input_shape
        raise ValueError(
            f"'{name}' cannot be run on x. Received samples of shape "
            f"{shape_of(x)}, but it has the inputs {takes}."
        ) from error


def _check_class_names(class_names: Any) -> None:
    is_list = isinstance(class_names, Sequence) and not isinstance(class_names, str)
    if class_names is not None and not (
        is_list and all(isinstance(name, str) for name in class_names)
    ):
        raise TypeError(
            "class_names is a list of strings, one per class. Received: "
            f"{class_names!r}."
        )


def _open(item: Any) -> Any:
    """Return the entry as a Keras model or a `TFLiteModel`."""
    if isinstance(item, TFLiteModel):
        return item
    path = _path(item)
    if path is None:
        _keras.world(item, "one of the entries")
        _keras.check_built(item)
        return item
    if path.suffix == ".tflite":
        return TFLiteModel(path)
    return _keras.load(path)


def _path(item: Any) -> Path | None:
    is_path = isinstance(item, str | os.PathLike)
    return as_path("one of the entries", item) if is_path else None


def _reference(models: Iterable[Any]) -> Any:
    keras_models = (m for m in models if not isinstance(m, TFLiteModel))
    return next(filter(_keras.is_compiled, keras_models), None)


def _is_quantized_file(model: Any) -> bool:
    """Return True for a file whose inputs are all quantized."""
    if not isinstance(model, TFLiteModel):
        return False
    return all(item.scale for item in model.inputs)


def _histogram(arrays: Iterable[np.ndarray]) -> Histogram:
    values = [np.asarray(array, np.float32).reshape(-1) for array in arrays]
    # `concatenate` refuses an empty list, as of a model without kernels.
    return Histogram.of(np.concatenate(values) if values else np.empty(0))


def _without(content: bytes, weights: Iterable[Any]) -> bytes:
    """Return the file without the bytes of its weights."""
    kept = np.ones(len(content), bool)
    for weight in weights:
        kept[weight.position] = False
    return np.frombuffer(content, np.uint8)[kept].tobytes()
