"""Rules of Dense, EinsumDense and Embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit.channels.flow import Axis, Flow, Reader, Slice, product
from keras_prune_kit.channels.rules.mixing import made_of, mixing, size_of

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site


def dense(site: Site) -> list[Flow]:
    """Mix the channels of each place into units."""
    layer, (source,) = site.call.operation, site.inputs
    made = site.new(layer, "units", layer.units)
    site.cut(layer.kernel, source.ids, made, makes=1)
    site.resize(units=made)
    site.multiply(source.positions, size_of(source.ids, layer.kernel, 0), made)
    return mixing(site, layer, source, made, layer.kernel, (0, 1), folds=True)


def einsum_dense(site: Site) -> list[Flow]:
    """Mix channels along the axis that an equation sums over."""
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
        # It has sizes of 1 for the axes after the first that are not its own.
        rank = len(layer.bias.shape)
        has_channels = last_out in layer.bias_axes
        along = [*[None] * (rank - 1), made if has_channels else None]
        site.cut(layer.bias, *along, makes=rank - 1 if has_channels else None)
    site.resize(output_shape=(*layer.partial_output_shape[:-1], made))
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
    return made_of(site, layer, made, kernel, (in_axis, weight.index(last_out)))


def embedding(site: Site) -> list[Flow]:
    """Make the channels of a table; its inputs are numbers of tokens."""
    layer = site.call.operation
    for flow in site.inputs:
        site.keep(flow.ids, "positions of tokens")
    made = site.new(layer, "embedding", layer.output_dim)
    site.cut(layer.embeddings, None, made, makes=1)
    site.resize(output_dim=made)

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        table = site.trace.value(layer.embeddings)
        return [np.where((table == 0).all(0), 0.0, np.nan)]

    return site.step([site.flow(made)], constants)


KERNEL_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
}
