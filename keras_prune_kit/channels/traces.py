"""The record of a trace: all that is known of the channels of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Cut, Flow, Made, Product, Reader, Step
from keras_prune_kit.channels.ties import Ties

# The new value of an entry of a layer's configuration. An array, also one in a dict or
# tuple, stands for the number of its channels that stay; a function takes such numbers.
Count = Callable[[np.ndarray], int]
Resize = np.ndarray | Mapping[str, Any] | tuple[Any, ...] | Callable[[Count], Any]


@dataclass(eq=False)
class Trace:
    """All that is known of the channels of a model.

    Attributes:
        model: The model.
        ties: The channels that stand and fall together.
        made: All channels, with the layers that make them.
        cuts: The weights with channels along their axes, by the id of the variable.
        resized: Entries of configurations that follow the channels, by the id of the
            layer.
        products: The multiplications of one forward pass of one sample.
        readers: The places where channels are mixed.
        steps: All calls in their order.
        kept: Channels that must stay, with reasons.
        coupled: Channels whose removal changes the others, even if they are zero, with
            reasons.
        unknown: Paths of layers whose multiplications are not counted.
        whole: Layers that lose nothing in any of their calls, with reasons.
        nested_inputs: The inputs of models inside the model, by their ids.
        assumes_zero: If True, `value` returns zeros for all that makes channels, to
            find out what would become of them.
    """

    model: Any
    ties: Ties = field(default_factory=Ties)
    made: list[Made] = field(default_factory=list)
    cuts: dict[int, Cut] = field(default_factory=dict)
    resized: dict[int, dict[str, Resize]] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    kept: list[tuple[np.ndarray, str]] = field(default_factory=list)
    coupled: list[tuple[np.ndarray, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    whole: list[tuple[Any, str]] = field(default_factory=list)
    nested_inputs: dict[int, list[Flow]] = field(default_factory=dict)
    assumes_zero: bool = False
    _new: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def value(self, variable: Any) -> np.ndarray:
        """Return the value of a weight, or zeros if that is assumed."""
        array = _keras.as_array(variable)
        is_zero = self.assumes_zero and self.makes(variable)
        return np.zeros_like(array) if is_zero else array

    def makes(self, variable: Any) -> bool:
        """Return True for a weight that masks zero with a channel."""
        cut = self.cuts.get(id(variable))
        return cut is not None and cut.makes is not None

    def are_kept(self, flows: Iterable[Flow]) -> bool:
        """Return True if all channels of some tensors must stay."""
        kept = self.reasons(self.kept)
        return all(
            root in kept
            for flow in flows
            if flow.ids is not None
            for root in self.ties.roots(flow.ids).tolist()
        )

    def reasons(self, marked: Sequence[tuple[np.ndarray, str]]) -> dict[int, str]:
        """Return the first reason for each set of tied channels, by its root."""
        found: dict[int, str] = {}
        for ids, reason in marked:
            for root in np.unique(self.ties.roots(ids)).tolist():
                found.setdefault(root, reason)
        return found
