"""Rules of the layers that rearrange values: Flatten and Reshape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow

if TYPE_CHECKING:
    from keras_prune_kit.channels.tracing import Site

_TARGETS = {"Reshape": "target_shape", "ops.Reshape": "newshape"}


def reshaped(site: Site) -> list[Flow]:
    """Follow each value to its new place.

    All values at one place of the new last axis must leave together: of a Dense layer
    before a Reshape to a picture, a whole block of units is one channel.
    """
    (source,) = site.inputs
    after = site.flow(None).shape
    if source.ids is None or not after or not after[-1]:
        return site.opaque("the channels of its input are not known")
    before = source.shape
    if None in before or None in after:
        # With sizes that are not fixed, only channels that stay last can be followed.
        if before[-1] != after[-1]:
            return site.opaque("it moves channels, and its input has no fixed size")
        ids = source.ids
        return _rearranged(site, ids, lambda values: [values[0]])
    everywhere = np.broadcast_to(source.ids, before).reshape(-1, after[-1])
    for row in everywhere[1:]:
        if not np.array_equal(row, everywhere[0]):
            site.tie(everywhere[0], row)
    ids = everywhere[0]

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        places = np.broadcast_to(values[0], before).reshape(-1, after[-1])
        is_same = (places == places[:1]).all(0)
        return [np.where(is_same, places[0], np.nan)]

    return _rearranged(site, ids, constants)


def reversed_axes(site: Site) -> list[Flow]:
    """Pass channels on where a Permute leaves the last axis the last."""
    layer, (source,) = site.call.operation, site.inputs
    if source.ids is None or layer.dims[-1] != len(layer.dims):
        return site.opaque("it moves the channels to another axis")
    return site.step([site.flow(source.ids)], lambda values: [values[0]])


def repeated(site: Site) -> list[Flow]:
    (source,) = site.inputs
    return site.step([site.flow(source.ids)], lambda values: [values[0]])


RESHAPING_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    "Flatten": reshaped,
    "Reshape": reshaped,
    "ops.Reshape": reshaped,
    "Permute": reversed_axes,
    "RepeatVector": repeated,
}


def _rearranged(site: Site, ids: np.ndarray, constants: Any) -> list[Flow]:
    layer = site.call.operation
    entry = _TARGETS.get(_keras.known_kind(layer) or "")
    if entry is not None:
        # An operation's shape begins with the batch.
        target = tuple(getattr(layer, entry))
        if target[-1] != -1:
            site.resize(**{entry: lambda count: (*target[:-1], count(ids))})
    return site.step([site.flow(ids)], constants)
