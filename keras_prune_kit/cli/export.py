"""`keras-prune-kit export`: convert a model file to .tflite."""

from __future__ import annotations

import argparse
from typing import Any

from keras_prune_kit._tools.quantizations import COMPARED
from keras_prune_kit.cli import models
from keras_prune_kit.cli.data import adapt_inputs
from keras_prune_kit.cli.result import Result
from keras_prune_kit.reports import percent
from keras_prune_kit.tflite import export_tflite


def run(options: argparse.Namespace) -> Result:
    """Convert a model file and report the size of the new one."""
    model = models.load(options.model, unsafe=options.unsafe)
    exported = export_tflite(
        model,
        options.out,
        quantization=options.quantize,
        representative_data=_inputs(model, options),
    )
    sparsity = exported.sparsity_report().sparsity
    data = {
        "path": options.out,
        "quantization": options.quantize,
        "file_bytes": len(exported.bytes),
        "gzip_bytes": exported.gzip_bytes,
        "sparsity": sparsity,
    }
    text = (
        f"{options.out} ({options.quantize}): {data['file_bytes']:,} bytes, "
        f"{data['gzip_bytes']:,} gzipped, sparsity {percent(sparsity)}"
    )
    return Result(text, data)


def _inputs(model: Any, options: argparse.Namespace) -> Any:
    """Return representative inputs, or `None` if the quantization takes none."""
    if options.quantize not in COMPARED or not options.representative:
        return None
    inputs = models.source(options.representative, model).inputs()
    return adapt_inputs(inputs, models.input_shape(model), options.scale)
