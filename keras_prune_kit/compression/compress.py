"""The function `compress`, which checks its arguments before any training."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import (
    as_arrays,
    check_data,
    check_rereadable,
    without_labels,
)
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.chatter import without_tracing_advice
from keras_prune_kit._tools.checks import MAX_ACCURACY_DROP, as_path, check_decision
from keras_prune_kit._tools.files import check_writable_folder
from keras_prune_kit._tools.progress_lines import ProgressLines
from keras_prune_kit._tools.quantizations import COMPARED, check_installed
from keras_prune_kit.compression.argument_checks import (
    check_budgets,
    check_epochs,
    check_fit_options,
    check_labelled,
    check_target,
)
from keras_prune_kit.compression.budgets import check_macs, check_speedup
from keras_prune_kit.compression.job import SPARSITY, Goal, policy_for, reach
from keras_prune_kit.compression.notebook import shown_stages
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.compression.repairing import repair_samples
from keras_prune_kit.measuring.evaluation import warn_of_few_samples
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import CompressionReport
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.tflite import check_exportable


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
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
    objective: str | None = None,
    mode: str = "auto",
    speedup: float | None = None,
    macs: float | None = None,
    multiple_of: int = 8,
) -> CompressionReport:
    """Prune, quantize and export a trained model, and measure its size and accuracy.

    A copy of the model is pruned during fine-tuning. The best epoch at the target
    sparsity is exported to .tflite and measured on the validation data. It is the best
    by the metric that decides, or, if the mode of that metric is unknown, by the loss,
    both on the validation data. As these data select the epoch, measure the result
    again on separate test data before you publish a figure.

    A training of few steps starts from a copy that is pruned at once and repaired (see
    `prune_at_once`), unless that lost too much; `report.settings["start"]` tells. At
    the end, averages of batch normalization, which lag behind, are taken anew from
    some training inputs if the score on the validation data rises.

    With `epochs=0`, nothing is trained and no labels are needed but for measuring: the
    weights of a copy are zeroed at once, what is left is repaired from up to 512 of the
    inputs, and a search tries six files.

    With `target="smallest"`, it searches for the smallest file whose metric on the
    validation data drops by at most `max_accuracy_drop`. It begins without training:
    copies are pruned at once, further and further, and repaired, which takes seconds
    each. The sparsest of them that holds is the least result, or else the model with
    weights of 4 bits; how far their outputs are from the model's tells where training
    can begin. With 16 epochs or more, a fourth of them first takes out as many channels
    as training can follow; if the metric does not hold without them, they stay in. Then
    up to six attempts share the epochs, each with fewer weights, and from the weights
    of the last that held; after one that did not, densities between the two are tried.
    Attempts train with Adam and a cosine learning rate, and rank the weights of all
    layers together by `lamp`. If the model is a classifier with one output, half of
    each label comes from the dense model (distillation). On Keras 3, pruning runs
    during quantization-aware training, with 8 to 3 bits for each layer, as many as its
    rounding needs; on `tf_keras`, TFMOT's 8-bit training follows it. The report lists
    every attempt, and says when the accepted drop is finer than the samples can tell.

    With `speedup`, `macs` or `target="fastest"`, whole filters, units and heads leave
    the model, which makes it faster in every runtime: masks zero them step by step
    during the first part of the fine-tuning, then they are removed, and the smaller
    model is trained on. `speedup` is measured: the .tflite runs at least so many times
    as fast on this machine (one sample, one thread, in turns with the whole model's
    file). `target="fastest"` searches for the fastest file whose metric drops by at
    most `max_accuracy_drop`; up to four attempts share the epochs. A `policy` zeroes
    weights of what is left, in the second half of the epochs.

    For a model on the JAX or torch backend, the whole job runs in a child process under
    TensorFlow, training included, and `report.model` is again of the model's backend.
    What the job is given is sent there. Classes and functions must be in modules that
    can be imported, not in the script or the notebook itself, and must work on every
    backend. A dataset is read once, and its batches are kept in memory: a random
    augmentation in it is the same in all epochs. Callbacks are copied.

    Args:
        model: A trained and compiled `keras` or `tf_keras` model, or the path of one
            (.keras, .h5). It is not changed.
        train_data: Data as `fit` accepts them: `(x, y)`, `(x, y, sample_weight)` of
            arrays, tensors or pandas frames, or a dataset or generator of batches. With
            `epochs=0`, inputs alone: an array, a list or dict of arrays for several
            inputs, or a dataset; labels are ignored.
        validation_data: Likewise, labelled data that the model is not trained on.
        policy: A final sparsity (0 to 1) ranks the weights of all layers together, by
            `lamp`: with few epochs that kept 3 to 4 points more than the same sparsity
            in each layer. Or a `PrunePolicy` or a schedule. If it zeroes whole channels
            (`Channel()`), they are removed at the end. Defaults to `None`: 0.8, or with
            `target="smallest"` the result of the search, or no zeros if channels leave.
        quantization: `"none"`, `"float16"`, `"dynamic"`, `"int8"`, `"int16x8"` or
            `"int4"`; see `export_tflite`. Defaults to `None`: `"int8"`, or with
            `target="smallest"` and epochs to train quantization-aware training.
        epochs: Epochs of fine-tuning, of all attempts together; 0 for none. Defaults to
            5; use 20 or more for a search.
        batch_size: Samples per batch, if `train_data` are arrays. Defaults to Keras'
            32.
        representative_data: Samples to calibrate `"int8"` and `"int16x8"` with, and to
            compare an `"int4"` file with its model. Defaults to 200 samples of
            `train_data`.
        out_dir: A folder to `save` the report to. Defaults to `None`.
        callbacks: Keras callbacks of your own for the fine-tuning. Defaults to none.
        verbose: The progress output of `fit`, and a line for each stage of the job with
            the time it took, and for each attempt with the epochs that are left; 0 for
            none. Defaults to `"auto"`, in a notebook a single line with the running
            stage instead.
        target: `"smallest"` or `"fastest"` to search for the smallest or the fastest
            file; it needs a metric. Defaults to `None`: once, without a search.
        max_accuracy_drop: The largest accepted drop of the metric in a search, on the
            validation data, 0 to 1. If more is better, it is absolute, in the unit of
            the metric. For an error, it is relative to the baseline's error (0.01: at
            most one percent more), or absolute if that is below 1e-6. Defaults to
            0.01.
        objective: The metric that decides, by its name in `evaluate`, such as `"mae"`,
            `"price_mae"` or `"loss"`. Defaults to `None`: the first that the model was
            compiled with; for a target, the first of which more is better, if there is
            one.
        mode: `"max"` if more of that metric is better, `"min"` if less is. Defaults to
            `"auto"`: the direction of the Keras metric, or for other metrics the one
            that a word of the name implies, such as accuracy or error.
        speedup: How many times as fast the .tflite must be as that of the whole model,
            above 1. It is measured before the training, on files of the final shapes,
            and again on the file that ships: a warning tells if that misses it.
            Defaults to `None`.
        macs: The share of the multiplications that may be left, above 0 and below 1.
            Defaults to `None`.
        multiple_of: If a group of channels keeps at least this many, it keeps a
            multiple of this number, which suits vector instructions. Defaults to 8.

    Returns:
        A report that prints as a table and contains the Keras model and the .tflite.

    Raises:
        ExportError: If the model has string inputs, which .tflite does not support.
        ImportError: If a package for `"int4"` is not installed.
        RuntimeError: If the child process for a model of JAX or torch is killed.
        TypeError: If it is not a Keras model, or the data contain ragged tensors.
        ValueError: If the model is not built or compiled or cannot be copied, the
            policy does not fit it, another argument is out of range, or a target or an
            objective is given and the mode of its metric is unknown. All of this is
            checked before training.
        OSError: If `out_dir` cannot be created.

    Example:

    ```python
    report = kpk.compress(model, (x, y), validation_data=(xv, yv), policy=0.8)
    print(report)

    data = {"validation_data": (xv, yv), "max_accuracy_drop": 0.005}
    report = kpk.compress(model, (x, y), target="smallest", epochs=20, **data)
    report = kpk.compress(model, (x, y), speedup=2.0, epochs=10, **data)
    report = kpk.compress(model, x[:512], epochs=0, validation_data=(xv, yv))
    ```
    """
    model = _keras.opened(model, compiled=True)
    _keras.world(model)
    check_target(target, max_accuracy_drop)
    check_budgets(target, speedup, macs, multiple_of)
    check_epochs(epochs, target)
    chosen = None if policy is None else policy_for(policy, epochs)
    _keras.check_compiled(model)
    # Only for its errors, such as a rule that covers no weight.
    (chosen or policy_for(SPARSITY, epochs)).plan(model)
    check_exportable(model)
    if quantization is not None and not isinstance(quantization, str):
        raise TypeError(f"quantization is a text. Received: {quantization!r}.")
    if quantization is not None:
        check_installed(quantization)
    check_fit_options(batch_size, callbacks, verbose)
    check_decision(objective, mode)
    train_data = as_arrays(train_data, "train_data")
    if epochs:
        check_labelled(model, train_data)
    else:
        train_data = without_labels(train_data)
    check_data(train_data, "train_data")
    if not epochs:
        # Read once: a child process would get all batches of a dataset.
        train_data = (repair_samples(model, train_data),)
    validation_data = as_arrays(validation_data, "validation_data")
    check_data(validation_data, "validation_data")
    check_rereadable(validation_data, "validation_data")
    warn_of_few_samples(validation_data, "validation_data")
    if target is not None:
        check_rereadable(train_data, "train_data of several attempts")
    if representative_data is None and quantization in (None, *COMPARED):
        check_rereadable(train_data, "train_data without representative_data")
    if out_dir is not None:
        check_writable_folder(as_path("out_dir", out_dir))
    recipe = Recipe(
        model=model,
        train_data=train_data,
        validation_data=validation_data,
        representative_data=representative_data,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[*callbacks, StageProgress("pruning")] if verbose else callbacks,
        verbose=verbose,
        objective=objective,
        mode=mode,
    )
    goal = Goal(
        chosen, quantization, target, max_accuracy_drop, speedup, macs, multiple_of
    )
    with (
        without_tracing_advice(),
        shown_stages(recipe) as shown,
        _told(shown.verbose),
    ):
        report = reach(model, shown, goal)
    if macs is not None:
        check_macs(report, macs)
    if speedup is not None:
        check_speedup(report, speedup)
    if out_dir is not None:
        report.save(out_dir)
    return report


def _told(verbose: int | str) -> contextlib.AbstractContextManager[None]:
    """Return a context that writes a line for each stage to where `fit` writes."""
    if not verbose:
        return contextlib.nullcontext()
    lines = ProgressLines(_write_line)
    return progress.listening(lines.stage, lines.tell)


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
