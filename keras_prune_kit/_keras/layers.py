"""The layers of a model, each with the weights that it owns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit._keras.weights import walk


@dataclass(frozen=True)
class LayerWeights:
    """A layer and its weights, without the weights of layers inside it.

    Attributes:
        path: Layer names from the outermost layer to this one, joined by "/".
        layer: The layer.
        weights: The variables that it owns.
    """

    path: str
    layer: Any = field(repr=False)
    weights: list[Any] = field(repr=False)

    @property
    def parameters(self) -> int:
        """The number of values in all weights."""
        return sum(math.prod(weight.shape) for weight in self.weights)


def find_layers(model: Any) -> list[LayerWeights]:
    """Return each layer once, in order; an RNN cell counts as part of its layer.

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
        # The cell of an RNN has the path of its layer, which comes first.
        layers.setdefault(path, layer)
        # `layer.weights` includes those of inner layers, which are visited later and
        # overwrite the owner.
        owners |= {id(variable): path for variable in layer.weights}
        variables |= {id(variable): variable for variable in layer.weights}
    own: dict[str, list[Any]] = {path: [] for path in layers}
    for key, path in owners.items():
        own[path].append(variables[key])
    return [LayerWeights(path, layers[path], own[path]) for path in layers]
