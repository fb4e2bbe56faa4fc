"""`compress`: its arguments, checked before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    as_arrays,
    check_data,
    check_rereadable,
    input_samples,
    labelled_samples,
)
from keras_prune_kit._tools.checks import (
    as_path,
    check_decision,
    check_whole,
    is_number,
    is_one_of,
    using,
)
from keras_prune_kit._tools.files import check_writable_folder
from keras_prune_kit._tools.quantizations import CALIBRATED, CALIBRATION_SAMPLES
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.compression.prune_once import prune_once
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.smallest import LEAST_EPOCHS, find_smallest
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.reports import CompressionReport
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.tflite import check_exportable

_TRIED_SAMPLES = 8

_SPARSITY = 0.8
_QUANTIZATION = "int8"


def compress(
    model: Any,
    train_data: Any,
    *,
    validation_data: Any,
    policy: PrunePolicy | Schedule | float | None = None,
    quantization: str | None = None,
    epochs: int = 5,
    batch_size: int | None = None,
    representative_data: Any = None,
    out_dir: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Any] = (),
    verbose: int | str = "auto",
    target: str | None = None,
    max_accuracy_drop: float = 0.002,
    objective: str | None = None,
    mode: str = "auto",
) -> CompressionReport:
    """Makes a trained model smaller and says exactly how small and how good it is.

    A copy of the model is fine-tuned while it is pruned; of the epochs at the target
    sparsity the best one on the validation data is kept, exported to .tflite and
    measured there. The best one is that of the metric that decides, or the one with the
    least loss if nobody knows whether more or less of that metric is better. Because
    the validation data choose the epoch, measure the result once more on data of its
    own before you publish a figure.

    With `target="smallest"` it looks for the smallest file whose metric holds. Up to
    four attempts share the epochs: the first has half of them and is as sparse as so
    many epochs may allow, the others halve the distance between what held and what did
    not. Each begins with the sparsest weights that an earlier one had on its way and
    that are no sparser than it will be (a temporary folder has those of each epoch).
    Each learns half of its labels from the dense model where that is a classifier with
    one output, by Adam along a cosine, and ranks the weights of all layers together. On
    Keras 3 it prunes while it trains quantized to 4 bits, on `tf_keras` TFMOT's 8-bit
    training follows. What holds is decided on the .tflite and the validation data; the
    report has every attempt.

    Args:
        model: A trained and compiled model of either world, or the path of one (.keras,
            .h5). It is left as it was.
        train_data: What `fit` takes: `(x, y)`, `(x, y, sample_weight)` of arrays,
            tensors or pandas frames, or a dataset or generator of batches.
        validation_data: Likewise, of known data the model is not trained on.
        policy: A `PrunePolicy`; a schedule or a final sparsity (0 to 1) stands for the
            policy made from it. Defaults to `None`: 0.8, or with a target what the
            search finds.
        quantization: `"none"`, `"float16"`, `"dynamic"`, `"int8"` or `"int16x8"`; see
            `export_tflite`. Defaults to `None`: `"int8"`, or with a target
            quantization-aware training.
        epochs: Epochs of fine-tuning, of all attempts together. Defaults to 5; a search
            deserves 20 and more.
        batch_size: Samples in a batch, where `train_data` are arrays. Defaults to
            Keras' 32.
        representative_data: Samples to calibrate `"int8"` and `"int16x8"` with.
            Defaults to 200 samples of `train_data`.
        out_dir: A folder to `save` the report to. Defaults to `None`.
        callbacks: Keras callbacks of your own for the fine-tuning. Defaults to none.
        verbose: How `fit` shows its progress, 0 to be silent. Defaults to `"auto"`.
        target: `"smallest"` to search; it needs a metric. Defaults to `None`: one
            pruning.
        max_accuracy_drop: How much of the metric on the validation data the file of a
            search may lose, 0 to 1. Of an accuracy or another metric of which more is
            better that is a difference in its own unit; of an error it is relative to
            the baseline's (0.01: at most one percent more), or in its own unit where
            the baseline has less than 1e-6 of it. Defaults to 0.002.
        objective: The metric that decides, as `evaluate` calls it, such as `"mae"`,
            `"price_mae"` or `"loss"`. Defaults to `None`: the first that the model was
            compiled with; for a target the first of which more is better, if there is
            one.
        mode: `"max"` if more of that metric is better, `"min"` if less is. Defaults to
            `"auto"`: what Keras says of its own metrics and those derived from them, of
            others a word of the metric's name, such as accuracy or error.

    Returns:
        A report that prints as a table and holds both models.

    Raises:
        ExportError: If the model takes texts, which no .tflite does.
        TypeError: If it is not a Keras model, or tensors of the data are ragged.
        ValueError: If the model is not built or compiled or cannot be copied, the
            policy does not fit it, the quantization, its data, `epochs`, the target or
            the objective are not possible, or nobody knows the mode and a target or an
            objective needs it. All of this is found before training starts.
        OSError: If `out_dir` cannot be made.

    Example:

    ```python
    report = kpk.compress(model, (x, y), validation_data=(xv, yv), policy=0.8)
    print(report)

    data = {"validation_data": (xv, yv), "max_accuracy_drop": 0.002}
    report = kpk.compress(model, (x, y), target="smallest", epochs=20, **data)
    ```
    """
    model = _keras.opened(model, compiled=True)
    _keras.world(model)
    chosen = None if policy is None else as_policy(policy)
    _keras.check_compiled(model)
    (chosen or as_policy(_SPARSITY)).plan(model)
    check_exportable(model)
    _check_epochs(epochs, target)
    if quantization is not None and not isinstance(quantization, str):
        raise TypeError(f"quantization is a text. Received: {quantization!r}.")
    _check_fit_options(batch_size, callbacks, verbose)
    _check_target(target, max_accuracy_drop)
    check_decision(objective, mode)
    train_data = as_arrays(train_data, "train_data")
    validation_data = as_arrays(validation_data, "validation_data")
    check_data(train_data, "train_data")
    check_data(validation_data, "validation_data")
    check_rereadable(validation_data, "validation_data")
    if target is not None:
        check_rereadable(train_data, "train_data of several attempts")
    if representative_data is None and quantization in (None, *CALIBRATED):
        check_rereadable(train_data, "train_data without representative_data")
        with using("train_data"):
            representative_data = input_samples(train_data, CALIBRATION_SAMPLES)
    _check_copy(model, train_data)
    _check_fits(model, train_data, "train_data")
    _check_fits(model, validation_data, "validation_data")
    if out_dir is not None:
        check_writable_folder(as_path("out_dir", out_dir))
    recipe = Recipe(
        model=model,
        train_data=train_data,
        validation_data=validation_data,
        representative_data=representative_data,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        verbose=verbose,
        objective=objective,
        mode=mode,
    )
    if target is None:
        setting = Setting(chosen or as_policy(_SPARSITY), quantization or _QUANTIZATION)
        report = prune_once(recipe, setting)
    else:
        report = find_smallest(recipe, chosen, quantization, max_accuracy_drop)
    if out_dir is not None:
        report.save(out_dir)
    return report


def _check_epochs(epochs: Any, target: str | None) -> None:
    check_whole("epochs", epochs)
    if target is not None and epochs < LEAST_EPOCHS:
        raise ValueError(
            f"target='{target}' makes several attempts, which share at least "
            f"{LEAST_EPOCHS} epochs. Received: epochs={epochs}. Give it 20 and more, "
            "or leave the target out for one pruning."
        )


def _check_fit_options(batch_size: Any, callbacks: Any, verbose: Any) -> None:
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    if not isinstance(callbacks, list | tuple) or not all(
        hasattr(callback, "on_train_begin") and not isinstance(callback, type)
        for callback in callbacks
    ):
        raise TypeError(f"callbacks is a list of them. Received: {callbacks!r}.")
    if not is_one_of(verbose, ("auto", 0, 1, 2, False, True)):
        raise ValueError(f"verbose is 'auto', 0, 1 or 2. Received: {verbose!r}.")


def _check_fits(model: Any, data: Any, name: str) -> None:
    """Tries the model on a few of the data, unless that would use them up."""
    count = _keras.fixed_batch(model) or _TRIED_SAMPLES
    with using(name):
        labelled = labelled_samples(data, count)
        if labelled is not None:
            x, y = labelled
            with _keras.at_rest(model):
                model.evaluate(x, y, batch_size=count, verbose=0)


def _check_copy(model: Any, train_data: Any) -> None:
    """Copies the model and compares both on a few of the data, before it takes time."""
    copied = _keras.copy_model(model)
    labelled = labelled_samples(train_data, _keras.fixed_batch(model) or _TRIED_SAMPLES)
    if labelled is not None:
        with using("train_data", but=_keras.CopyError):
            _keras.check_copy(model, copied, labelled[0])


def _check_target(target: Any, max_accuracy_drop: Any) -> None:
    if target is not None and not is_one_of(target, ("smallest",)):
        raise ValueError(
            f"target is 'smallest' or None, which prunes once. Received: {target!r}."
        )
    if not is_number(max_accuracy_drop) or not 0 <= max_accuracy_drop < 1:
        raise ValueError(
            "max_accuracy_drop is a fraction of 0 to 1, such as 0.002 for 0.2 % of all "
            "samples, or of 0.2 % more error. "
            f"Received: {max_accuracy_drop!r}."
        )
