"""Rules of the layers that join tensors: Concatenate. Sums are per channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow
from keras_prune_kit.channels.rules.per_channel import alone, merged

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site


def concatenated(site: Site) -> list[Flow]:
    """Join the channels, or tie them where another axis is joined."""
    axis, rank = _axis(site.call), len(site.inputs[0].shape) + 1
    parts = [flow.ids for flow in site.inputs if flow.ids is not None]
    if axis is None or len(parts) < len(site.inputs):
        return site.opaque("it joins tensors whose channels are not known")
    if axis not in (-1, rank - 1):
        return alone(site, merged(site, max(len(ids) for ids in parts)))
    ids = np.concatenate(parts)

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.concatenate(values)]

    return site.step([site.flow(ids)], constants)


def masked(site: Site) -> list[Flow]:
    """Keep all channels: a place is masked by the values of all of them."""
    return site.opaque("its mask depends on all channels")


MERGING_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    **dict.fromkeys(("Concatenate", "ops.Concatenate", "tf.concat"), concatenated),
    "Masking": masked,
}


def _axis(call: _keras.Call) -> int | None:
    """Return the axis, an attribute of the layer or a constant of the call."""
    found = getattr(call.operation, "axis", None)
    if found is None:
        numbers = [item for item in call.constants if type(item) is int]
        found = numbers[0] if len(numbers) == 1 else None
    return found
