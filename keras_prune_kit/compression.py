"""The whole job in one call: prune, fine-tune, quantize, export, measure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.comparison import compare_opened
from keras_prune_kit.datasets import (
    check_rereadable,
    fit_arguments,
    input_samples,
    labelled_samples,
)
from keras_prune_kit.evaluation import Evaluation
from keras_prune_kit.fine_tuning import fine_tune
from keras_prune_kit.policies import PrunePolicy, as_policy, described
from keras_prune_kit.reports import CompressionReport
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.tflite import TFLiteModel, export_tflite

REPRESENTATIVE_SAMPLES = 200
CRITERION_SAMPLES = 256
LATENCY_RUNS = 20


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
    check_rereadable(validation_data, "validation_data")
    if representative_data is None and quantization in ("int8", "int16x8"):
        check_rereadable(train_data, "train_data without representative_data")
        representative_data = input_samples(train_data, REPRESENTATIVE_SAMPLES)
    copy = _keras.clone(model)
    # Before the training, so that what the converter refuses costs no epoch.
    dense = _export(model, quantization, representative_data)
    evaluate = Evaluation(validation_data, model)
    needs_data = policy.needs_data
    sample = labelled_samples(train_data, CRITERION_SAMPLES) if needs_data else None
    pruning = PruningCallback(policy, data=sample)
    fine_tune(
        copy,
        metric=evaluate.metric,
        pruning=pruning,
        callbacks=callbacks,
        **fit_arguments(train_data),
        validation_data=validation_data,
        epochs=epochs,
        batch_size=batch_size,
        verbose=verbose,
    )
    if pruning.report is None:
        raise RuntimeError("fit ended without telling PruningCallback.")
    exported = _export(copy, quantization, representative_data)
    numbers = "float32" if quantization == "none" else quantization
    models = {
        "baseline": model,
        f"baseline + {numbers}": dense,
        "pruned": copy,
        f"pruned + {numbers}": exported,
    }
    report = CompressionReport(
        comparison=compare_opened(models, evaluate, latency_runs=LATENCY_RUNS),
        model=copy,
        tflite=exported,
        sparsity_report=pruning.report,
        settings={
            "policy": described(policy),
            "quantization": quantization,
            "epochs": epochs,
            "batch_size": batch_size,
        },
    )
    if out_dir is not None:
        report.save(out_dir)
    return report


def _export(model: Any, quantization: str, representative_data: Any) -> TFLiteModel:
    return export_tflite(
        model, quantization=quantization, representative_data=representative_data
    )
