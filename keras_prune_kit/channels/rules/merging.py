"""Rules of the layers that join tensors: Concatenate. Sums are per channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow
from keras_prune_kit.channels.rules.per_channel import alone, merged

if TYPE_CHECKING:
    from keras_prune_kit.channels.tracing import Site


def concatenated(site: Site) -> list[Flow]:
    axis, rank = _axis(site.call), len(site.inputs[0].shape) + 1
    if axis is None or any(flow.ids is None for flow in site.inputs):
        return site.opaque("it joins tensors whose channels are not known")
    if axis not in (-1, rank - 1):
        width = max(len(flow.ids) for flow in site.inputs if flow.ids is not None)
        return alone(site, merged(site, width))
    ids = np.concatenate([flow.ids for flow in site.inputs])

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.concatenate(values)]

    return site.step([site.flow(ids)], constants)


MERGING_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    **dict.fromkeys(("Concatenate", "ops.Concatenate", "tf.concat"), concatenated),
}


def _axis(call: _keras.Call) -> int | None:
    """Return the axis, an attribute of the layer or a constant of the call."""
    found = getattr(call.operation, "axis", None)
    if found is None:
        numbers = [item for item in call.constants if type(item) is int]
        found = numbers[0] if len(numbers) == 1 else None
    return found
