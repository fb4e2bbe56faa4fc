"""`keras-prune-kit compare`: measure model files side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from keras_prune_kit import _keras
from keras_prune_kit.cli import models
from keras_prune_kit.cli.data import PictureSource, adapt
from keras_prune_kit.cli.result import Result
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.tflite import TFLiteModel

_LATENCY_RUNS = 50


def run(options: argparse.Namespace) -> Result:
    """Measure model files on the same data; the first one is the reference."""
    paths = {name: Path(path) for name, path in _names(options.files).items()}
    opened = {
        name: TFLiteModel(path)
        if path.suffix == ".tflite"
        else models.load(str(path), compiled=True, unsafe=options.unsafe)
        for name, path in paths.items()
    }
    keras_models = [m for m in opened.values() if not isinstance(m, TFLiteModel)]
    reference = next(filter(_keras.is_compiled, keras_models), None)
    # Without a compiled model, the first Keras model tells the shapes, or a file.
    judge = reference or next(iter([*keras_models, *opened.values()]))
    source = models.source(options.data, judge)
    data = adapt(source.test(), models.input_shape(judge), options.scale)
    if reference is None and keras_models:
        models.compile_for(judge, data)
        reference = judge
    comparison = compare_opened(
        opened,
        Evaluation(data, reference, options.data),
        class_names=source.classes if isinstance(source, PictureSource) else None,
        latency_runs=_LATENCY_RUNS,
    )
    return Result(str(comparison), comparison.to_dict())


def _names(files: Sequence[str]) -> dict[str, str]:
    """Return the files by names that are as short as possible, but unique."""
    choices = (
        [Path(file).stem for file in files],
        [str(Path(file).with_suffix("")) for file in files],
        files,
    )
    # The last choice is unique: a file that is given twice was refused before.
    names = next(names for names in choices if len(set(names)) == len(files))
    return dict(zip(names, files, strict=True))
