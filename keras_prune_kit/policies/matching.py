"""Matching of regexes, layer classes and callables to layers and weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import using

_SPECIAL = re.compile(r"[][.^$*+?{}\\|()]")


class WeightIndex:
    """An index of the weights of a model by path.

    A regex is tested once per path, for all weights below it: testing each rule on each
    weight takes minutes for thousands of both.

    Args:
        weights: The prunable weights.
    """

    def __init__(self, weights: Iterable[_keras.PrunableWeight]) -> None:
        self.weights = tuple(weights)
        self._below: dict[str, list[_keras.PrunableWeight]] = {}
        for weight in self.weights:
            for path in prefixes(weight.path):
                self._below.setdefault(path, []).append(weight)

    def covered(self, match: Any) -> list[_keras.PrunableWeight]:
        """Return the weights that a single match covers, possibly with duplicates.

        One that is pruned only if a rule names it is named by a match that covers
        nothing else: `".*segment.*"` or a class of depthwise layers, not `".*"`.
        """
        if isinstance(match, str):
            # A regex that matches a nested model and a layer in it finds a weight
            # twice.
            found = [w for path in self._paths(match) for w in self._below[path]]
        else:
            found = [w for w in self.weights if covers_layer(match, w.path, w.layers)]
        return [w for w in found if not w.kept_because] or found

    def _paths(self, regex: str) -> Iterable[str]:
        """Return the paths that a regex matches in full."""
        if not _SPECIAL.search(regex):  # A plain name: a dict lookup suffices.
            return [regex] if regex in self._below else []
        return filter(re.compile(regex).fullmatch, self._below)


def covers_layer(
    match: Any, path: str, layers: Sequence[Any], name: str = "match"
) -> bool:
    """Return True if a single match covers a layer or one that contains it.

    Args:
        match: A regex, a layer class or a callable.
        path: Layer names from the outermost layer to this one, joined by "/".
        layers: The layers from the outermost one inside the model to this one.
        name: The name of the argument in messages. Defaults to `"match"`.
    """
    if isinstance(match, str):
        # Of prefixes: the name of a nested model stands for all layers in it.
        return any(re.fullmatch(match, path) for path in prefixes(path))
    if isinstance(match, type):
        return any(isinstance(layer, match) for layer in layers)
    with using(name):
        return any(match(layer) for layer in layers)


def prefixes(path: str) -> list[str]:
    """Return a path and those of all layers around it, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
