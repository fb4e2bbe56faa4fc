"""The parts that the rules of all layers with a kernel share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.constants import activated, mixed_constants
from keras_prune_kit.channels.flow import Axis, Flow, Fold, Reader, Slice
from keras_prune_kit.channels.rules.per_channel import is_elementwise

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

_MIXES = "its activation mixes channels"


def mixing(
    site: Site,
    layer: Any,
    source: Flow,
    made: np.ndarray,
    kernel: Any,
    axes: tuple[int, int],
    folds: bool,
) -> list[Flow]:
    """Return the output of a layer with one kernel; its bias has one axis."""
    in_axis, out_axis = axes
    site.cut(layer.bias, made, makes=0)
    if source.ids is not None:

        def fold(values: np.ndarray) -> Fold:
            weights = np.moveaxis(_keras.as_array(kernel), axes, (-2, -1))
            rows = weights.reshape(-1, *weights.shape[-2:])
            return Fold(layer, made, values @ rows.sum(0, dtype=np.float64))

        alternatives = ((Slice(kernel, in_axis, out_axis),),)
        site.read(Reader(source.ids, alternatives, (source,), fold if folds else None))
    return made_of(site, layer, made, kernel, axes, folds)


def made_of(
    site: Site,
    layer: Any,
    made: np.ndarray,
    kernel: Any,
    axes: tuple[int | None, int],
    folds: bool = False,
) -> list[Flow]:
    """Return the output, with the constants in it; no input axis: all inputs vary."""
    if not is_elementwise(layer.activation):
        return mixed(site, made)
    cut = site.trace.cuts.get(id(layer.bias))
    # A bias of EinsumDense can have other axes.
    has_plain_bias = cut is None or all(ids is made for ids in cut.axes)

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not has_plain_bias:
            return [np.full(len(made), np.nan)]
        bias = layer.bias
        offset = np.zeros(len(made)) if bias is None else site.trace.value(bias)
        array = site.trace.value(kernel)
        found = mixed_constants(array, axes, values[0], offset, folds)
        return [activated(layer.activation, found, array.dtype)]

    return site.step([site.flow(made)], constants)


def mixed(site: Site, made: np.ndarray) -> list[Flow]:
    """Return the output after an activation such as softmax: all channels stay."""
    site.keep(made, _MIXES)
    # One such as GLU changes their number.
    is_as_wide = site.flow(made).shape[-1] == len(made)
    return site.step([site.flow(made) if is_as_wide else site.fixed(_MIXES)])


def size_of(ids: Axis, kernel: Any, axis: int) -> np.ndarray | int:
    """Return the channels on an axis, or its size if they are not known."""
    return kernel.shape[axis] if ids is None else ids
