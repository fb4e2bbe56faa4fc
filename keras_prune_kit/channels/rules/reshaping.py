"""Rules of the layers that rearrange values: Flatten and Reshape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow, product

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

_TARGETS = {"Reshape": "target_shape", "ops.Reshape": "newshape"}


def reshaped(site: Site) -> list[Flow]:
    """Follow each value to its new place.

    All values at one place of the new last axis must leave together: of a Dense layer
    before a Reshape to a picture, a whole block of units is one channel.
    """
    (source,) = site.inputs
    before, after = source.shape, site.flow(None).shape
    width = after[-1] if after else None
    if source.ids is None or width is None:
        return site.opaque("the channels of its input are not known")
    if getattr(site.call.operation, "data_format", None) == "channels_first":
        return site.opaque("its data format is channels_first")
    if before[-1] == width:  # The channels stay last.
        return _rearranged(site, source.ids, lambda values: [values[0]])
    sizes = [size for size in before if size is not None]
    if len(sizes) < len(before) or product(sizes) % width:
        return site.opaque("it moves channels, and its input has no fixed size")
    everywhere = np.broadcast_to(source.ids, sizes).reshape(-1, width)
    for row in everywhere[1:]:
        if not np.array_equal(row, everywhere[0]):
            site.tie(everywhere[0], row)

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        places = np.broadcast_to(values[0], sizes).reshape(-1, width)
        is_same = (places == places[:1]).all(0)
        return [np.where(is_same, places[0], np.nan)]

    return _rearranged(site, everywhere[0], constants)


def reversed_axes(site: Site) -> list[Flow]:
    """Pass channels on where a Permute leaves the last axis the last."""
    layer, (source,) = site.call.operation, site.inputs
    if source.ids is None or layer.dims[-1] != len(layer.dims):
        return site.opaque("it moves the channels to another axis")
    return site.step([site.flow(source.ids)], lambda values: [values[0]])


def repeated(site: Site) -> list[Flow]:
    """Pass the channels on."""
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
            site.resize(**{entry: (*target[:-1], ids)})
    return site.step([site.flow(ids)], constants)
