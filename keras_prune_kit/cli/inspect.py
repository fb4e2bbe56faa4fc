"""`keras-prune-kit inspect`: show the layers, zeros and sizes of a model file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras_prune_kit.layers  # noqa: F401  so that Keras can load PrunableDense
from keras_prune_kit import _keras
from keras_prune_kit._tools.progress import stage
from keras_prune_kit.cli.result import Result
from keras_prune_kit.measuring.sizes import gzip_bytes
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.reports import (
    SparsityReport,
    WeightSparsity,
    percent,
    render_table,
    shape_text,
)
from keras_prune_kit.tflite import TFLiteModel


def run(options: argparse.Namespace) -> Result:
    """Show the layers of a model file, their zeros and the sizes of the file."""
    path = Path(options.model)
    with stage("reading the file"):
        if path.suffix == ".tflite":
            return _inspect_tflite(path)
        model = _keras.load(path, unsafe=options.unsafe)
        report, layers = sparsity_report(model), _keras.find_layers(model)
        sizes = {
            **_sizes(path),
            # Which no file that ships has.
            "optimizer_bytes": _keras.optimizer_bytes(path),
            "weights_gzip_bytes": gzip_bytes(model),
        }
    table = _table(layers, report)
    data = {"layers": [_layer_data(layer) for layer in layers], **report.to_dict()}
    return _result(path, _summary(model), table, sizes, data)


def _inspect_tflite(path: Path) -> Result:
    model = TFLiteModel(path)
    report = model.sparsity_report()
    tensors = [" and ".join(map(str, specs)) for specs in (model.inputs, model.outputs)]
    return _result(
        path, " -> ".join(tensors), str(report), _sizes(path), report.to_dict()
    )


def _result(
    path: Path, what: str, table: str, sizes: dict[str, int], data: dict[str, Any]
) -> Result:
    lines = [f"{name.replace('_', ' ')}: {size:,}" for name, size in sizes.items()]
    text = "\n".join([str(path), what, "", table, "", *lines])
    return Result(text, {"path": str(path), **sizes, **data})


def _sizes(path: Path) -> dict[str, int]:
    return {"file_bytes": path.stat().st_size, "gzip_bytes": gzip_bytes(path)}


def _summary(model: Any) -> str:
    world = _keras.world(model)
    shapes = (
        _shapes_text(getattr(model, name, None))
        for name in ("input_shape", "output_shape")
    )
    kind = type(model).__name__
    return f"{kind} of {world.__name__} {world.__version__}: {' -> '.join(shapes)}"


def _shapes_text(shapes: Any) -> str:
    """Return one shape, or several of a list or dict, without Python's `None`."""
    if isinstance(shapes, dict):
        shapes = list(shapes.values())
    if isinstance(shapes, list):
        return " and ".join(map(_shapes_text, shapes))
    sizes = ("any" if size is None else str(size) for size in (shapes or ())[1:])
    return f"({', '.join(['n', *sizes])})" if shapes else "?"


def _table(layers: list[_keras.LayerWeights], report: SparsityReport) -> str:
    """Return a table of layers, with the sparsity of their prunable weights."""
    prunable: dict[str, list[WeightSparsity]] = {}
    for weight in report.weights:
        # The path of a weight is that of its layer and an attribute.
        prunable.setdefault(weight.path.rpartition("/")[0], []).append(weight)
    rows = [_row(layer, prunable.get(layer.path, [])) for layer in layers]
    total = sum(layer.parameters for layer in layers)
    rows.append(("all", "", "", f"{total:,}", percent(report.sparsity)))
    columns = ("layer", "class", "kernel", "parameters", "sparsity")
    return render_table("Layers, and the sparsity of their kernels", columns, rows)


def _row(layer: _keras.LayerWeights, weights: list[WeightSparsity]) -> tuple[str, ...]:
    report = SparsityReport(tuple(weights))
    return (
        layer.path,
        type(layer.layer).__name__,
        ", ".join(shape_text(weight.shape) for weight in weights),
        f"{layer.parameters:,}",
        percent(report.sparsity) if weights else "",
    )


def _layer_data(layer: _keras.LayerWeights) -> dict[str, Any]:
    return {
        "path": layer.path,
        "class": type(layer.layer).__name__,
        "parameters": layer.parameters,
        "shapes": [list(weight.shape) for weight in layer.weights],
    }
