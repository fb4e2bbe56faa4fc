"""`keras-prune-kit compress`: prune, quantize and export a model file."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools.files import replacing_folder
from keras_prune_kit._tools.progress import stage
from keras_prune_kit.cli import models
from keras_prune_kit.cli.data import adapt, hold_out
from keras_prune_kit.cli.result import Result
from keras_prune_kit.compression import compress
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import CompressionReport

_EPOCHS = 5
_SEARCH_EPOCHS = 20


def run(options: argparse.Namespace) -> Result:
    """Prune, fine-tune, quantize and measure a model, and write all results."""
    policy = _policy(options)
    model, training, validation = opened(options)
    judged = model
    if has_no_labels(validation):
        judged, validation = models.judged_by_outputs(model, validation[0])
    report = compress(
        judged,
        training,
        validation_data=validation,
        policy=policy,
        quantization=options.quantize,
        epochs=_epochs(options),
        # A dataset, such as one of pictures, is batched already.
        batch_size=options.batch_size if isinstance(training, tuple) else None,
        callbacks=[StageProgress("pruning")],
        verbose=0,
        target=options.target,
        max_accuracy_drop=options.max_drop,
        objective=options.objective,
        mode=options.mode,
        speedup=options.speedup,
        macs=options.macs,
        multiple_of=options.multiple_of,
    )
    if judged is not model:
        _keras.compile_like(model, report.model)
    return save(report, options.out)


def opened(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return the model, the training data and the validation data.

    The model is compiled, unless there are no labels to choose a loss by.
    """
    model = models.load(options.model, compiled=True, unsafe=options.unsafe)
    _keras.world(model).utils.set_random_seed(0)
    training, validation = _data(model, options)
    is_arrays, word = isinstance(training, tuple), _word(options)
    if options.batch_size and not is_arrays and not os.path.isdir(word):
        raise ValueError(
            "--batch-size is for arrays and pictures. Received: a dataset from "
            f"{word}, which is already batched. Leave the option out."
        )
    labelled = validation if has_no_labels(training) else training
    if not has_no_labels(labelled):
        if not _keras.is_compiled(model):
            models.compile_for(model, labelled)
        models.check_labels(model, labelled)
    return model, training, validation


def has_no_labels(data: Any) -> bool:
    """Return True for inputs alone, `(x,)`."""
    return isinstance(data, tuple) and len(data) == 1


def save(report: CompressionReport, out: str, *lines: str) -> Result:
    """Write a report and both models to a folder, either all files or none."""
    with stage("writing files"), replacing_folder(out) as part:
        names = sorted(report.save(part))
    lines = (str(report), "", *lines, f"Everything is in {out}:", ", ".join(names))
    paths = {name: str(Path(out) / name) for name in names}
    return Result(
        "\n".join(lines), {**report.to_dict(), "ratio": report.ratio, "files": paths}
    )


def _epochs(options: argparse.Namespace) -> int:
    if options.epochs is not None:
        return options.epochs
    if options.calibrate:
        return 0
    return _SEARCH_EPOCHS if options.target else _EPOCHS


def _word(options: argparse.Namespace) -> str:
    """Return the DATA to train with, or to do without."""
    return options.train or options.calibrate


def _policy(options: argparse.Namespace) -> PrunePolicy | float | None:
    if options.policy is None:
        return options.sparsity
    try:
        return PrunePolicy.from_dict(
            json.loads(Path(options.policy).read_text("utf-8"))
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{options.policy} is not a valid policy: {error}") from error


def _data(model: Any, options: argparse.Namespace) -> tuple[Any, Any]:
    """Return training data, and validation data to choose the best epoch with.

    Both are `(x,)` if there are only inputs to calibrate with.
    """
    word = _word(options)
    source = models.source(word, model, options.batch_size)
    is_labelled = bool(options.train) or source.has_labels
    # The same data for both would choose the epoch by the training samples.
    if options.validation in (None, word):
        pair = source.split() if is_labelled else hold_out((source.inputs(),), word)
    else:
        validation = models.source(options.validation, model, options.batch_size)
        training = source.training() if is_labelled else (source.inputs(),)
        pair = training, validation.validation()
    shape = models.input_shape(model)
    train, validate = (adapt(data, shape, options.scale) for data in pair)
    return train, validate
