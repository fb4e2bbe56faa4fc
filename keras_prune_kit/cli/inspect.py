"""`keras-prune-kit inspect`: what is in a model file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

import keras_prune_kit.layers  # noqa: F401  so that Keras can load PrunableDense
from keras_prune_kit import _keras
from keras_prune_kit.sizes import gzip_bytes
from keras_prune_kit.sparsity import sparsity_report
from keras_prune_kit.tflite import TFLiteModel


def run(options: argparse.Namespace) -> None:
    """Prints the weights of a model file, their zeros and the file's sizes."""
    path = Path(options.model)
    model = TFLiteModel(path) if path.suffix == ".tflite" else _keras.load(path)
    report = sparsity_report(model)
    sizes: dict[str, Any] = {
        "file_bytes": path.stat().st_size,
        "gzip_bytes": gzip_bytes(path),
    }
    if not isinstance(model, TFLiteModel):
        sizes["weights_gzip_bytes"] = gzip_bytes(model)
    if options.json:
        text = json.dumps({"path": str(path), **sizes, **report.to_dict()}, indent=2)
    else:
        lines = [f"{name.replace('_', ' ')}: {size:,}" for name, size in sizes.items()]
        text = "\n".join([str(report), "", *lines])
    Console(soft_wrap=True).print(text, highlight=False, markup=False)
