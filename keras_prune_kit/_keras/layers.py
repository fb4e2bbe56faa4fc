"""The layers of a model, as a person sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit._keras.weights import walk


@dataclass(frozen=True)
class LayerWeights:
    """A layer and the weights that are its own, not those of a layer inside it.

    Attributes:
        path: Names of the layers from the model down, joined by "/".
        layer: The layer.
        weights: Its variables.
    """

    path: str
    layer: Any = field(repr=False)
    weights: list[Any] = field(repr=False)

    @property
    def parameters(self) -> int:
        """How many values the weights have together."""
        return sum(math.prod(weight.shape) for weight in self.weights)


def find_layers(model: Any) -> list[LayerWeights]:
    """Every layer of a model once, in order; a cell is a part of its recurrent layer.

    Args:
        model: A built Keras model of either world.
    """
    layers: dict[str, Any] = {}
    owners: dict[int, str] = {}
    variables: dict[int, Any] = {}
    seen: set[int] = set()
    for path, above in walk(model):
        layer = above[-1]
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        layers.setdefault(path, layer)
        # Layers inside come later and claim what is theirs.
        owners |= {id(variable): path for variable in layer.weights}
        variables |= {id(variable): variable for variable in layer.weights}
    own: dict[str, list[Any]] = {path: [] for path in layers}
    for key, path in owners.items():
        own[path].append(variables[key])
    return [LayerWeights(path, layers[path], own[path]) for path in layers]
