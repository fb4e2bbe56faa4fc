"""The whole job in one call: prune, fine-tune, quantize, export, measure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.callbacks import PruningCallback, TargetSparsityCheckpoint
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.reports import CompressionReport, SparsityReport, Stage
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.sizes import gzip_bytes, weights_h5
from keras_prune_kit.sparsity import sparsity_report
from keras_prune_kit.tflite import TFLiteModel, export_tflite

REPRESENTATIVE_SAMPLES = 200
CRITERION_SAMPLES = 256


def compress(
    model: Any,
    train_data: Any,
    *,
    validation_data: Any,
    policy: PrunePolicy | Schedule | float = 0.8,
    quantization: str = "int8",
    epochs: int = 5,
    batch_size: int | None = None,
    representative_data: Any = None,
    out_dir: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Any] = (),
    verbose: int | str = "auto",
) -> CompressionReport:
    """Makes a trained model smaller and says exactly how small and how good it is.

    A copy of the model is fine-tuned while it is pruned; of the epochs at the target
    sparsity the best one on the validation data is kept, exported to .tflite and
    measured there. Because the validation data choose the epoch, measure the result
    once more on data of its own before you publish a figure.

    Args:
        model: A trained and compiled model of either world. It is left as it was.
        train_data: What `fit` takes: `(x, y)`, `(x, y, sample_weight)`, or a dataset
            or generator of batches.
        validation_data: Likewise, of known data the model is not trained on.
        policy: A `PrunePolicy`; a schedule or a final sparsity (0 to 1) stands for the
            policy made from it. Defaults to 0.8.
        quantization: `"none"`, `"float16"`, `"dynamic"`, `"int8"` or `"int16x8"`; see
            `export_tflite`. Defaults to `"int8"`.
        epochs: Epochs of fine-tuning. Defaults to 5.
        batch_size: Samples in a batch, where `train_data` are arrays. Defaults to
            Keras' 32.
        representative_data: Samples to calibrate `"int8"` and `"int16x8"` with.
            Defaults to 200 samples of `train_data`.
        out_dir: A folder to `save` the report to. Defaults to `None`.
        callbacks: Keras callbacks of your own for the fine-tuning. Defaults to none.
        verbose: How `fit` shows its progress, 0 to be silent. Defaults to `"auto"`.

    Returns:
        A report that prints as a table and holds both models.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If the model is not built or compiled, the policy does not fit it,
            or the quantization, its data or `epochs` are not possible. All of this is
            found before training starts.
        OSError: If `out_dir` cannot be made.

    Example:

    ```python
    report = kpk.compress(model, (x, y), validation_data=(xv, yv), policy=0.8)
    print(report)
    ```
    """
    policy = as_policy(policy)
    policy.plan(model)
    if not isinstance(epochs, int) or epochs < 1:
        raise ValueError(
            f"epochs is a whole number of at least 1. Received: {epochs!r}."
        )
    if out_dir is not None:
        Path(out_dir).mkdir(parents=True, exist_ok=True)
    if representative_data is None and quantization in ("int8", "int16x8"):
        representative_data = _samples(train_data, REPRESENTATIVE_SAMPLES)
    copy = _keras.clone(model)
    # Before the training, so that what the converter refuses costs no epoch.
    dense = _export(model, quantization, representative_data)
    evaluate = _Evaluation(model, validation_data)
    pruning = PruningCallback(policy, data=_labelled_samples(train_data))
    pruned = _fine_tune(
        copy,
        train_data,
        validation_data,
        monitor=evaluate.metric,
        pruning=pruning,
        callbacks=callbacks,
        epochs=epochs,
        batch_size=batch_size,
        verbose=verbose,
    )
    exported = _export(copy, quantization, representative_data)
    suffix = "" if quantization == "none" else f" + {quantization}"
    report = CompressionReport(
        stages=(
            _keras_stage("baseline", model, evaluate),
            _tflite_stage(f"baseline{suffix}", dense, evaluate),
            _keras_stage("pruned", copy, evaluate),
            _tflite_stage(f"pruned{suffix}", exported, evaluate),
        ),
        metric=evaluate.metric,
        model=copy,
        tflite=exported,
        sparsity_report=pruned,
    )
    if out_dir is not None:
        report.save(out_dir)
    return report


class _Evaluation:
    """Scores models and exported files by the model's own first metric."""

    def __init__(self, model: Any, data: Any) -> None:
        if isinstance(data, Iterator):
            raise ValueError(
                "validation_data are read more than once: give arrays or a dataset, "
                f"not a generator that runs dry. Received: {data!r}."
            )
        self._model = model
        self._data = data
        names = [name for name in self._evaluate(model, data) if "loss" not in name]
        self.metric = names[0] if names else "loss"

    def keras(self, model: Any) -> float:
        return self._evaluate(model, self._data)[self.metric]

    def tflite(self, exported: TFLiteModel) -> float:
        predicted, wanted = [], []
        for x, *rest in _batches(self._data):
            predicted.append(exported.predict(x))
            wanted.append(rest)
        predictions, (y, *weight) = _join(predicted), _join(wanted)
        scorer = _keras.scorer(self._model, predictions)
        return self._evaluate(scorer, (predictions, y, *weight))[self.metric]

    def _evaluate(self, model: Any, data: Any) -> dict[str, float]:
        arguments = _fit_arguments(data)
        return model.evaluate(**arguments, verbose=0, return_dict=True)


def _fine_tune(
    model: Any,
    train_data: Any,
    validation_data: Any,
    *,
    monitor: str,
    pruning: PruningCallback,
    callbacks: Sequence[Any],
    **fit_arguments: Any,
) -> SparsityReport:
    """Trains and prunes, and leaves the best weights at the target in the model."""
    if hasattr(train_data, "element_spec"):
        # A tf.data.Dataset shuffles itself; Keras warns unless it is told so.
        fit_arguments["shuffle"] = False
    rises = any(part in monitor for part in ("acc", "auc", "precision", "recall"))
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        checkpoint = TargetSparsityCheckpoint(
            best,
            monitor=f"val_{monitor}" if rises else "val_loss",
            mode="max" if rises else "min",
            save_weights_only=True,
        )
        model.fit(
            **_fit_arguments(train_data),
            validation_data=validation_data,
            callbacks=[pruning, checkpoint, *callbacks],
            **fit_arguments,
        )
        if best.exists():
            model.load_weights(best)
    if pruning.report is None:
        raise RuntimeError("fit ended without telling PruningCallback.")
    return pruning.report


def _export(model: Any, quantization: str, representative_data: Any) -> TFLiteModel:
    return export_tflite(
        model, quantization=quantization, representative_data=representative_data
    )


def _keras_stage(name: str, model: Any, evaluate: _Evaluation) -> Stage:
    file = weights_h5(model)
    return Stage(
        name,
        ".h5",
        evaluate.keras(model),
        len(file),
        gzip_bytes(file),
        sparsity_report(model).sparsity,
    )


def _tflite_stage(name: str, exported: TFLiteModel, evaluate: _Evaluation) -> Stage:
    return Stage(
        name,
        ".tflite",
        evaluate.tflite(exported),
        len(exported.bytes),
        gzip_bytes(exported.bytes),
        exported.sparsity_report().sparsity,
    )


def _fit_arguments(data: Any) -> dict[str, Any]:
    """The data under the names that `fit` and `evaluate` know them by."""
    if not isinstance(data, tuple):
        return {"x": data}
    return dict(zip(("x", "y", "sample_weight"), data, strict=False))


def _batches(data: Any) -> Iterator[tuple[Any, ...]]:
    """Arrays as one batch, a dataset batch by batch, as numpy arrays."""
    if isinstance(data, tuple):
        yield data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        yield from (_numpy(data[index]) for index in range(len(data)))
    else:
        yield from map(_numpy, data)


def _samples(data: Any, count: int) -> Any:
    """Samples of the inputs, spread over the arrays or from the first batches."""
    if isinstance(data, Iterator):
        raise ValueError(
            "representative_data are needed where train_data is a generator, which "
            "can be read only once."
        )
    if isinstance(data, tuple):
        return _spread(data[0], count)
    taken = []
    for x, *_ in _batches(data):
        taken.append(x)
        if sum(map(_length, taken)) >= count:
            break
    return _join(taken)


def _labelled_samples(data: Any) -> Any:
    """A sample of arrays `(x, y)`, for criteria that look at gradients."""
    return _spread(data[:2], CRITERION_SAMPLES) if isinstance(data, tuple) else None


def _spread(item: Any, count: int) -> Any:
    """Samples at even distances, whatever order the data are in."""
    return _map(lambda a: a[np.linspace(0, len(a) - 1, count).astype(int)], item)


def _numpy(item: Any) -> Any:
    return _map(np.asarray, item)


def _map(function: Any, item: Any) -> Any:
    """Applies a function to each array of a nest of dicts, lists and tuples."""
    if isinstance(item, dict):
        return {key: _map(function, value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_map(function, value) for value in item)
    return function(item)


def _length(item: Any) -> int:
    while isinstance(item, dict | list | tuple):
        item = next(iter(item.values() if isinstance(item, dict) else item))
    return len(item)


def _join(parts: list[Any]) -> Any:
    """Nests of arrays that are alike, joined batch after batch."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: _join([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(map(_join, map(list, zip(*parts, strict=True))))
    return np.concatenate(parts) if len(parts) > 1 else first
