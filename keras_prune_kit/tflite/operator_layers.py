"""The layers of a model that use certain TensorFlow operators."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from keras_prune_kit import _keras


def layers_using(model: Any, graph: Any, operators: Collection[str]) -> list[str]:
    """Return the layers that use operators, as text with their classes.

    Args:
        model: A Keras model.
        graph: The TensorFlow graph of its traced call.
        operators: Names of TensorFlow operators, such as `"Roll"`.
    """
    layers = {found.path: found.layer for found in _keras.find_layers(model)}
    found = {
        _innermost(node.name, layers)
        for node in graph.as_graph_def().node
        if node.op in operators
    }
    return sorted(f"{type(layers[path]).__name__} '{path}'" for path in found if path)


def _innermost(node: str, paths: Collection[str]) -> str:
    """Return the longest path of a layer whose names are all in a node's name."""
    return max(
        (p for p in paths if _pattern(p).search(f"/{node}")), key=len, default=""
    )


def _pattern(path: str) -> re.Pattern[str]:
    # A second trace, or a second call of a layer, adds a number to its name.
    return re.compile(
        ".*".join(rf"/{re.escape(part)}(_\d+)?(?=/)" for part in path.split("/"))
    )
