"""Where weights are, and which of them a match is meant for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import using

_SPECIAL = re.compile(r"[][.^$*+?{}\\|()]")


class Places:
    """The weights of a model by their paths.

    A regex looks at each path once, for all weights below it: asking each weight about
    each rule takes minutes where there are thousands of both.

    Args:
        weights: What can be pruned.
    """

    def __init__(self, weights: Iterable[_keras.PrunableWeight]) -> None:
        self.weights = tuple(weights)
        self._below: dict[str, list[_keras.PrunableWeight]] = {}
        for weight in self.weights:
            for path in prefixes(weight.path):
                self._below.setdefault(path, []).append(weight)

    def covered(self, match: Any) -> list[_keras.PrunableWeight]:
        """The weights that a single match is meant for; one may come twice."""
        if isinstance(match, str):
            found = [w for path in self._paths(match) for w in self._below[path]]
        else:
            found = [w for w in self.weights if covers_layer(match, w.path, w.layers)]
        return [w for w in found if not w.is_depthwise or _names_depthwise(match, w)]

    def _paths(self, regex: str) -> Iterable[str]:
        """The paths that a regex matches as a whole."""
        if not _SPECIAL.search(regex):  # A name, as most of many rules have.
            return [regex] if regex in self._below else []
        return filter(re.compile(regex).fullmatch, self._below)


def covers_layer(
    match: Any, path: str, layers: Sequence[Any], name: str = "match"
) -> bool:
    """Whether a single match is meant for a layer, or for one that it is in.

    Args:
        match: A regex, a layer class or a callable.
        path: Names from the model down, joined by "/".
        layers: The layers from the outermost one inside the model to this one.
        name: What the argument is called. Defaults to `"match"`.
    """
    if isinstance(match, str):
        return any(re.fullmatch(match, path) for path in prefixes(path))
    if isinstance(match, type):
        return any(isinstance(layer, match) for layer in layers)
    with using(name):
        return any(match(layer) for layer in layers)


def prefixes(path: str) -> list[str]:
    """The path itself and those of all layers around it."""
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _names_depthwise(match: Any, weight: _keras.PrunableWeight) -> bool:
    """Whether a match is meant for a depthwise kernel: its class or its own name."""
    if isinstance(match, str):
        return match.endswith(weight.attribute)
    return isinstance(match, type) and isinstance(weight.layer, match)
