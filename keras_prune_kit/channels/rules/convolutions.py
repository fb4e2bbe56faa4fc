"""Rules of convolutions: plain, grouped, transposed, depthwise and separable ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit.channels.flow import Axis, Flow, Reader, Slice, product
from keras_prune_kit.channels.rules.mixing import made_of, mixed, mixing, size_of
from keras_prune_kit.channels.rules.per_channel import alone, is_elementwise

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

Rule = Callable[[Any], list[Flow]]

_CHANNELS_FIRST = "its data format is channels_first"
_UNKNOWN = "the channels of its input are not known"


def convolution(site: Site) -> list[Flow]:
    """Make filters of all channels, of a group of them, or of one each."""
    layer, (source,) = site.call.operation, site.inputs
    made = site.new(layer, "filters", layer.filters)
    kernel, rank = layer.kernel, len(layer.kernel.shape)
    before: Axis = source.ids
    places = _places(site)
    window = product(kernel.shape[:-2])
    groups = layer.groups
    if groups == 1:
        site.multiply(places * window, size_of(before, kernel, rank - 2), made)
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
    return mixing(site, layer, source, made, kernel, (rank - 2, rank - 1), folds)


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
    if not is_elementwise(layer.activation):
        return mixed(site, made)
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
    return made_of(site, layer, made, kernel, (None, rank - 1))


def transposed(site: Site) -> list[Flow]:
    """Make filters; the kernel has them before its input channels."""
    layer, (source,) = site.call.operation, site.inputs
    made = site.new(layer, "filters", layer.filters)
    kernel, rank = layer.kernel, len(layer.kernel.shape)
    site.cut(kernel, *[None] * (rank - 2), made, source.ids, makes=rank - 2)
    site.resize(filters=made)
    window = product(kernel.shape[:-2])
    inputs = size_of(source.ids, kernel, rank - 1)
    site.multiply(source.positions * window, inputs, made)
    return mixing(site, layer, source, made, kernel, (rank - 1, rank - 2), folds=False)


def depthwise(site: Site) -> list[Flow]:
    """Keep the channels apart, each with as many outputs as the multiplier."""
    layer, (source,) = site.call.operation, site.inputs
    if source.ids is None:
        return site.opaque(_UNKNOWN)
    kernel = _depthwise_kernel(layer)
    after = source.ids.repeat(layer.depth_multiplier)
    site.cut(kernel, *[None] * (len(kernel.shape) - 2), source.ids, None)
    site.cut(layer.bias, after, makes=0)
    site.multiply(_places(site) * product(kernel.shape[:-2]), after)
    if not is_elementwise(layer.activation):
        return mixed(site, after)
    return alone(site, after, layer.depth_multiplier)


def separable(site: Site) -> list[Flow]:
    """Mix the channels of a depthwise convolution into filters."""
    layer, (source,) = site.call.operation, site.inputs
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
    return made_of(site, layer, made, layer.pointwise_kernel, (None, axis + 1))


def _if_channels_last(rule: Rule) -> Rule:
    """Return a rule that follows only channels along the last axis."""

    def checked(site: Site) -> list[Flow]:
        layer = site.call.operation
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return site.opaque(_CHANNELS_FIRST)
        return rule(site)

    return checked


CONVOLUTION_RULES: dict[str, Rule] = {
    name: _if_channels_last(rule)
    for rule, names in (
        (convolution, ("Conv1D", "Conv2D", "Conv3D")),
        (transposed, ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")),
        (depthwise, ("DepthwiseConv1D", "DepthwiseConv2D")),
        (separable, ("SeparableConv1D", "SeparableConv2D")),
    )
    for name in names
}


def _places(site: Site) -> int:
    """Return the number of positions in the output."""
    return site.flow(None).positions


def _depthwise_kernel(layer: Any) -> Any:
    """Return the kernel, which Keras 2 calls `depthwise_kernel`."""
    kernel = getattr(layer, "depthwise_kernel", None)
    return layer.kernel if kernel is None else kernel
