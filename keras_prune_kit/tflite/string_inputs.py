"""Models that take texts: a .tflite file has no operators for these."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tflite.errors import ExportError


def check_exportable(model: Any) -> None:
    """Raises an `ExportError` for a model with texts or tables in it.

    The converter finds that out late, and says it badly.

    Args:
        model: A built Keras model.
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
            f"{' and '.join(map(repr, lookups))} in it: tables and hashes of texts and "
            "numbers need operators that are not built in. Export "
            f"{_way_out(model, list(lookups.values()))}."
        )
    if texts:
        raise ExportError(
            f"Model '{model.name}' cannot be exported, as it takes texts (input "
            f"{' and '.join(map(repr, texts))}), for which there are no built-in "
            "operators. Export a model that takes what the texts are turned into."
        )


def _way_out(model: Any, lookups: list[Any]) -> str:
    """What to export instead."""
    names = " and ".join(repr(layer.name) for layer in lookups)
    if any(_keras.gives_texts(layer) for layer in lookups):
        return (
            f"what is in front of {names}, and turn into texts what the file gives: "
            "build the model without it, of the same layers"
        )
    inputs = _keras.inputs_behind(model, lookups)
    if inputs is None:
        return (
            f"the model from the integers on: build it of the same layers without "
            f"{names}, call these on the data first, and feed it and its file with the "
            "integers that come out"
        )
    world = _keras.world(model).__name__
    ends = [
        f"model.{name}[0]" if len(getattr(model, name)) == 1 else f"model.{name}"
        for name in ("inputs", "outputs")
    ]
    return (
        f"the model from the integers on: {world}.Model({inputs}, {ends[1]}), which "
        f"has the same weights. Feed it and its file with what {world}.Model("
        f"{ends[0]}, {inputs}) makes of the data"
    )
