"""Rules of the layers that mix channels by a kernel: Dense, convolutions, Embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.constants import activated, mixed_constants
from keras_prune_kit.channels.flow import Axis, Flow, Fold, Reader, Slice, product
from keras_prune_kit.channels.rules.per_channel import alone, is_elementwise

if TYPE_CHECKING:
    from keras_prune_kit.channels.tracing import Site

_CHANNELS_FIRST = "its data format is channels_first"
_UNKNOWN = "the channels of its input are not known"
_MIXES = "its activation mixes channels"


def dense(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    made = site.new(layer, "units", layer.units)
    site.cut(layer.kernel, source.ids, made, makes=1)
    site.resize(units=made)
    site.multiply(source.positions, _size(source.ids, layer.kernel, 0), made)
    return _mixing(site, source, made, layer.kernel, (0, 1), folds=True)


def convolution(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    if not _is_channels_last(layer):
        return site.opaque(_CHANNELS_FIRST)
    made = site.new(layer, "filters", layer.filters)
    kernel, rank = layer.kernel, len(layer.kernel.shape)
    before: Axis = source.ids
    places = _places(site)
    window = product(kernel.shape[:-2])
    groups = layer.groups
    if groups == 1:
        site.multiply(places * window, _size(before, kernel, rank - 2), made)
    elif before is None:
        return site.opaque(_UNKNOWN)
    elif groups == len(before):
        return _grouped_alone(site, before, made)
    else:
        return _grouped(site, before, made)
    site.cut(kernel, *[None] * (rank - 2), before, made, makes=rank - 1)
    site.resize(filters=made)
    # At a padded border, a constant channel contributes less than elsewhere.
    folds = window == 1 or layer.padding == "valid"
    return _mixing(site, source, made, kernel, (rank - 2, rank - 1), folds)


def _grouped_alone(site: Site, before: np.ndarray, made: np.ndarray) -> list[Flow]:
    """Each input channel makes filters of its own, so they leave together."""
    layer = site.call.operation
    repeats = layer.filters // layer.groups
    site.tie(before.repeat(repeats), made)
    site.multiply(_places(site) * product(layer.kernel.shape[:-2]), made)
    axis = len(layer.kernel.shape) - 1
    site.cut(layer.kernel, *[None] * axis, made, makes=axis)
    site.cut(layer.bias, made, makes=0)
    site.resize(filters=made, groups=before)
    return alone(site, made, repeats)


def _grouped(site: Site, before: np.ndarray, made: np.ndarray) -> list[Flow]:
    """Each group loses as many channels as each other one."""
    layer, (source,) = site.call.operation, site.inputs
    groups, kernel, rank = layer.groups, layer.kernel, len(layer.kernel.shape)
    for ids in (before, made):
        rows = ids.reshape(groups, -1)
        for row in rows[1:]:
            site.tie(rows[0], row)
    width = len(before) // groups
    inside = before[:width]
    site.multiply(_places(site) * product(kernel.shape[:-2]), inside, made)
    site.cut(kernel, *[None] * (rank - 2), inside, made, makes=rank - 1)
    site.cut(layer.bias, made, makes=0)
    site.resize(filters=made)
    index = np.arange(len(before)) % width
    site.read(Reader(before, ((Slice(kernel, rank - 2, rank - 1, index),),), (source,)))
    return _made(site, made, kernel, (None, rank - 1))


def transposed(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    if not _is_channels_last(layer):
        return site.opaque(_CHANNELS_FIRST)
    made = site.new(layer, "filters", layer.filters)
    kernel, rank = layer.kernel, len(layer.kernel.shape)
    site.cut(kernel, *[None] * (rank - 2), made, source.ids, makes=rank - 2)
    site.resize(filters=made)
    window = product(kernel.shape[:-2])
    inputs = _size(source.ids, kernel, rank - 1)
    site.multiply(source.positions * window, inputs, made)
    return _mixing(site, source, made, kernel, (rank - 1, rank - 2), folds=False)


def depthwise(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    if not _is_channels_last(layer):
        return site.opaque(_CHANNELS_FIRST)
    if source.ids is None:
        return site.opaque(_UNKNOWN)
    kernel = _depthwise_kernel(layer)
    after = source.ids.repeat(layer.depth_multiplier)
    site.cut(kernel, *[None] * (len(kernel.shape) - 2), source.ids, None)
    site.cut(layer.bias, after, makes=0)
    site.multiply(_places(site) * product(kernel.shape[:-2]), after)
    if not is_elementwise(layer.activation):
        site.keep(after, _MIXES)
    return alone(site, after, layer.depth_multiplier)


def separable(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    if not _is_channels_last(layer):
        return site.opaque(_CHANNELS_FIRST)
    if source.ids is None:
        return site.opaque(_UNKNOWN)
    made = site.new(layer, "filters", layer.filters)
    kernel = layer.depthwise_kernel
    before = source.ids.repeat(layer.depth_multiplier)
    lead = [None] * (len(kernel.shape) - 2)
    site.cut(kernel, *lead, source.ids, None)
    site.cut(layer.pointwise_kernel, *lead, before, made, makes=len(lead) + 1)
    site.resize(filters=made)
    places = _places(site)
    site.multiply(places * product(kernel.shape[:-2]), before)
    site.multiply(places, before, made)
    axis = len(lead)
    depthwise_part = Slice(kernel, axis)
    if layer.depth_multiplier == 1:
        alternatives = (
            (depthwise_part,),
            (Slice(layer.pointwise_kernel, axis, axis + 1),),
        )
    else:
        alternatives = ((depthwise_part,),)
    site.read(Reader(source.ids, alternatives, (source,)))
    site.cut(layer.bias, made, makes=0)
    return _made(site, made, layer.pointwise_kernel, (None, axis + 1))


def einsum_dense(site: Site) -> list[Flow]:
    layer, (source,) = site.call.operation, site.inputs
    operands, _, result = layer.equation.replace(" ", "").partition("->")
    data, _, weight = operands.partition(",")
    if "." in layer.equation:
        data, result = data.replace("...", ""), result.replace("...", "")
        if not data or not result:
            return site.opaque("its equation hides the channels behind an ellipsis")
    kernel, last_in, last_out = layer.kernel, data[-1], result[-1]
    sizes = dict(zip(weight, kernel.shape, strict=True))
    axes: list[Axis] = [None] * len(weight)
    if last_in in weight and last_in not in result:
        axes[weight.index(last_in)] = source.ids
    elif last_in == last_out and last_in not in weight:
        return site.opaque("its equation does not mix channels")
    else:
        site.keep(source.ids, "its equation uses them in several ways")
    if last_out in weight and last_out not in data:
        made = site.new(layer, "units", sizes[last_out])
        axes[weight.index(last_out)] = made
    else:
        return site.opaque("its equation does not make channels")
    site.cut(kernel, *axes, makes=weight.index(last_out))
    if layer.bias is not None:
        letters = [c for c in result if c in layer.bias_axes]
        along = [made if c == last_out else None for c in letters]
        makes = letters.index(last_out) if last_out in letters else None
        site.cut(layer.bias, *along, makes=makes)
    shape = layer.output_shape
    rest = tuple(shape[:-1]) if isinstance(shape, list | tuple) else ()
    site.resize(output_shape=lambda count: (*rest, count(made)))
    outside = [
        size or 1
        for letter, size in zip(data[::-1], source.shape[::-1], strict=False)
        if letter not in weight
    ]
    counted = [
        axis if axis is not None else sizes[letter]
        for letter, axis in zip(weight, axes, strict=True)
    ]
    site.multiply(product(outside), *counted)
    in_axis = weight.index(last_in) if last_in in weight else None
    if in_axis is not None and axes[in_axis] is not None and source.ids is not None:
        part = Slice(kernel, in_axis, weight.index(last_out))
        site.read(Reader(source.ids, ((part,),), (source,)))
    return _made(site, made, kernel, (in_axis, weight.index(last_out)))


def embedding(site: Site) -> list[Flow]:
    layer = site.call.operation
    for flow in site.inputs:
        site.keep(flow.ids, "positions of tokens")
    made = site.new(layer, "embedding", layer.output_dim)
    site.cut(layer.embeddings, None, made, makes=1)
    site.resize(output_dim=made)
    table = _keras.as_array(layer.embeddings)
    silent = np.where((table == 0).all(0), 0.0, np.nan)
    return site.step([site.flow(made)], lambda values: [silent])


KERNEL_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    **dict.fromkeys(
        ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), transposed
    ),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable),
}


def _mixing(
    site: Site,
    source: Flow,
    made: np.ndarray,
    kernel: Any,
    axes: tuple[int, int],
    folds: bool,
) -> list[Flow]:
    """Return the output of a layer with one kernel; its bias has one axis."""
    layer, (in_axis, out_axis) = site.call.operation, axes
    site.cut(layer.bias, made, makes=0)
    if source.ids is not None:

        def fold(values: np.ndarray) -> Fold:
            weights = np.moveaxis(
                _keras.as_array(kernel), (in_axis, out_axis), (-2, -1)
            )
            total = values @ weights.astype(np.float64).reshape(
                -1, *weights.shape[-2:]
            ).sum(0)
            return Fold(layer, total)

        alternatives = ((Slice(kernel, in_axis, out_axis),),)
        site.read(Reader(source.ids, alternatives, (source,), fold if folds else None))
    return _made(site, made, kernel, (in_axis, out_axis), folds)


def _made(
    site: Site,
    made: np.ndarray,
    kernel: Any,
    axes: tuple[int | None, int],
    folds: bool = False,
) -> list[Flow]:
    """Return the output, with the constants in it; no input axis: all inputs vary."""
    layer = site.call.operation
    if not is_elementwise(layer.activation):
        site.keep(made, _MIXES)

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        offset = (
            np.zeros(len(made)) if layer.bias is None else _keras.as_array(layer.bias)
        )
        if offset.ndim != 1:
            return [np.full(len(made), np.nan)]
        found = mixed_constants(_keras.as_array(kernel), axes, values[0], offset, folds)
        return [activated(layer.activation, found)]

    return site.step([site.flow(made)], constants)


def _size(ids: Axis, kernel: Any, axis: int) -> np.ndarray | int:
    """Return the channels on an axis, or its size if they are not known."""
    return kernel.shape[axis] if ids is None else ids


def _places(site: Site) -> int:
    """Return the number of positions in the output."""
    return site.flow(None).positions


def _is_channels_last(layer: Any) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def _depthwise_kernel(layer: Any) -> Any:
    """Return the kernel, which Keras 2 calls `depthwise_kernel`."""
    kernel = getattr(layer, "depthwise_kernel", None)
    return layer.kernel if kernel is None else kernel
