"""The check for strings and lookup tables, which built-in operators do not cover."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tflite.errors import ExportError


def check_exportable(model: Any) -> None:
    """Raise an ExportError if a model has string inputs or lookup tables.

    The converter would fail late, with a message that names no layer.

    Args:
        model: A built Keras model.

    Raises:
        ExportError: If it has; the message says what to export instead.
    """
    lookups = _keras.lookup_layers(model)
    texts = [
        item.name
        for item in _keras.signature_of(model).inputs
        if item.dtype == "string"
    ]
    if lookups:
        raise ExportError(
            f"Model '{model.name}' cannot be exported with "
            f"{' and '.join(map(repr, lookups))} in it: lookup tables and hashes of "
            "strings or integers need operators that are not built in. Export "
            f"{_way_out(model, list(lookups.values()))}."
        )
    if texts:
        raise ExportError(
            f"Model '{model.name}' cannot be exported, because there are no built-in "
            "operators for string inputs. Received: input "
            f"{' and '.join(map(repr, texts))}. Export a model whose inputs are the "
            "numbers that the strings are turned into."
        )


def _way_out(model: Any, lookups: list[Any]) -> str:
    """Return the advice on what to export instead, as the end of a message."""
    names = " and ".join(repr(layer.name) for layer in lookups)
    if any(_keras.gives_texts(layer) for layer in lookups):
        return (
            f"a model of the layers before {names}, built from the same layers, and "
            "turn the outputs of the file into strings outside of it"
        )
    inputs = _keras.inputs_behind(model, lookups)
    if inputs is None:
        return (
            "the part of the model that starts at the integers: build a model of the "
            f"same layers without {names}, call these on the data first, and pass "
            "the resulting integers to the model and its file"
        )
    world = _keras.world(model).__name__
    ends = [
        f"model.{name}[0]" if len(getattr(model, name)) == 1 else f"model.{name}"
        for name in ("inputs", "outputs")
    ]
    return (
        "the part of the model that starts at the integers: "
        f"{world}.Model({inputs}, {ends[1]}), which shares its weights. Its inputs, "
        f"and those of its file, are the outputs of {world}.Model({ends[0]}, {inputs})"
    )
