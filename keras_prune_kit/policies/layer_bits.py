"""Bits of a weight: one number for all layers, or one for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_one_of
from keras_prune_kit._tools.quantizations import WEIGHT_BITS
from keras_prune_kit.policies.rule import covered_layers, name_of, single_matches

# The keys are those of `Match` that can be keys: regexes, classes, callables, tuples.
WeightBits = int | Mapping[Any, int]

_OF_OTHERS = 8
_MATCH = "weight_bits: match"


@dataclass(frozen=True)
class LayerBits:
    """The bits of the weights of each layer of a model.

    Attributes:
        others: The bits of layers that are not named.
        named: The bits of those that are, by the id of the layer.
    """

    others: int
    named: dict[int, int] = field(default_factory=dict)

    def of(self, layer: Any) -> int:
        """Return the bits of a layer's weights."""
        return self.named.get(id(layer), self.others)


def check_weight_bits(weight_bits: object) -> None:
    """Raise an error unless a value is a number of bits, or a mapping of them.

    Raises:
        TypeError: If a key is neither a regex, a class, a callable nor a tuple of them.
        ValueError: If a number is not one of these, or a regex does not compile.
    """
    if not isinstance(weight_bits, Mapping):
        if not is_one_of(weight_bits, WEIGHT_BITS):
            raise ValueError(
                f"weight_bits is one of {WEIGHT_BITS}, or a mapping from layers to "
                "these, such as {'.*': 4, 'classifier': 8}. "
                f"Received: weight_bits={weight_bits!r}."
            )
        return
    for match, bits in weight_bits.items():
        single_matches(match, _MATCH)
        if not is_one_of(bits, WEIGHT_BITS):
            raise ValueError(
                f"weight_bits is one of {WEIGHT_BITS} for each layer. "
                f"Received: {bits!r} for {name_of(match)}."
            )


def bits_of_layers(model: Any, weight_bits: WeightBits) -> LayerBits:
    """Return the bits of each layer of a model; the last key that covers one wins.

    Args:
        model: A built Keras model of either world.
        weight_bits: As `check_weight_bits` accepts it.

    Raises:
        ValueError: If a key covers no layer with weights.
    """
    if not isinstance(weight_bits, Mapping):
        return LayerBits(weight_bits)
    found = _keras.walk(_keras.trained_model(model))
    located = [(path, layers) for path, layers in found if layers[-1].weights]
    named: dict[int, int] = {}
    for match, bits in weight_bits.items():
        named |= dict.fromkeys(covered_layers(match, located, _MATCH), bits)
    return LayerBits(_OF_OTHERS, named)
