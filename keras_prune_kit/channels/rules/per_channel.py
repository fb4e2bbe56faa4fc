"""Rule of the layers that treat each channel alone: activations, pooling and the like.

Known ones are named; any other is tried: a copy for half of the channels, with weights
cut alike, must compute half of the outputs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.constants import activated
from keras_prune_kit.channels.flow import Flow, name_of
from keras_prune_kit.channels.rules.trying import Trial, tried

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

# Of the layers with weights, the last axis of each weight is that of the channels.
_KNOWN = {
    *("ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "PReLU", "Identity"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
}
# Zeros in these weights of BatchNormalization make a channel zero.
_MAKE = ("gamma", "beta", "moving_mean")
_KNOWN_IF_CHANNELS_LAST = {
    f"{kind}{rank}D"
    for kind in (
        *("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling"),
        *("ZeroPadding", "Cropping", "UpSampling"),
    )
    for rank in (1, 2, 3)
}


def per_channel(site: Site) -> list[Flow]:
    """Pass channels on if the layer treats each alone, else keep them."""
    layer, flows = site.call.operation, site.inputs
    widths = {len(flow.ids) for flow in flows if flow.ids is not None}
    outputs = [site.flow(None, index) for index in range(len(site.call.outputs))]
    width = max(widths, default=0)
    if (
        not widths <= {1, width}
        or any(flow.ids is None for flow in flows)
        or len(outputs) != 1
        or not outputs[0].shape
        or outputs[0].shape[-1] != width
        or (site.call.is_masked and not _is_known(site))
    ):
        return site.opaque(_reason(layer))
    if not _is_known(site):
        is_fixed = site.trace.are_kept(flows)
        trial = Trial({}, {}) if is_fixed else tried(site.call, flows, width)
        if trial is None or is_fixed:
            return site.opaque(_reason(layer))
        ids = merged(site, width)
        for variable, axes in trial.cuts.items():
            weight = next(w for w in layer.weights if id(w) == variable)
            along = [ids if is_cut else None for is_cut in axes]
            site.cut(weight, *along, makes=len(axes) - 1 if axes and axes[-1] else None)
        site.resize(**dict.fromkeys(trial.entries, ids))
        return alone(site, ids)
    ids = merged(site, width)
    for weight in getattr(layer, "weights", ()):
        rank = len(weight.shape)
        if rank and weight.shape[-1] == width:
            makes = rank - 1 if name_of(weight) in _MAKE else None
            site.cut(weight, *[None] * (rank - 1), ids, makes=makes)
    return alone(site, ids)


def alone(site: Site, ids: np.ndarray, repeats: int = 1) -> list[Flow]:
    """Return the output of a layer each of whose channels depends on one input channel.

    Args:
        site: The call.
        ids: The channels of the output.
        repeats: The number of output channels that depend on each input channel.
    """
    call, flows = site.call, site.inputs
    is_product = _keras.known_kind(call.operation) in ("Multiply", "ops.Multiply")
    if site.is_training:  # Statistics of the batch, or noise.
        return site.step([site.flow(ids)])

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        count = len(ids) // repeats
        wide = [np.broadcast_to(value, count) for value in values]
        varies = np.any([np.isnan(value) for value in wide], 0)
        if is_product:
            varies &= ~np.any([value == 0 for value in wide], 0)
        if varies.all():
            return [np.full(len(ids), np.nan)]
        weights = list(getattr(call.operation, "weights", ()))
        if site.trace.assumes_zero and any(map(site.trace.makes, weights)):
            return [_if_zero(call.operation, wide[0].repeat(repeats))]
        arrays = [
            np.broadcast_to(np.nan_to_num(value), (1, *_full(flow), len(value)))
            for flow, value in zip(flows, values, strict=True)
        ]
        try:
            result = _keras.computed(call, call.operation, arrays)
        except Exception:  # A custom layer can raise any error.
            return [np.full(len(ids), np.nan)]
        places = result.reshape(-1, result.shape[-1])
        is_same = (places == places[:1]).all(0) & np.isfinite(places[0])
        return [np.where(~varies.repeat(repeats) & is_same, places[0], np.nan)]

    return site.step([site.flow(ids)], constants)


def _if_zero(layer: Any, values: np.ndarray) -> np.ndarray:
    """Return the constants after a layer whose biases and scales are zero."""
    is_scaled = getattr(layer, "gamma", None) is not None
    zero = activated(getattr(layer, "activation", None), np.zeros(1), np.float32)
    return np.where(is_scaled | (values == 0), zero, np.nan)


def merged(site: Site, width: int) -> np.ndarray:
    """Tie the channels of all inputs; one channel for all of them must stay."""
    wide = [flow.ids for flow in site.inputs if flow.ids is not None]
    first = next(ids for ids in wide if len(ids) == width)
    for ids in wide:
        if len(ids) < width:
            site.keep(ids, "it is spread over all channels")
        elif ids is not first:
            site.tie(first, ids)
    return first


def is_elementwise(activation: Any) -> bool:
    """Return True for an activation that treats each value alone, or `None`."""
    return activation is None or _is_elementwise(activation)


@functools.lru_cache(maxsize=256)
def _is_elementwise(activation: Any) -> bool:
    values = np.random.default_rng(0).normal(scale=2, size=(3, 8)).astype(np.float32)
    try:
        whole, half = (
            _keras.applied_to(activation, v) for v in (values, values[:, ::2])
        )
    except Exception:  # A user's function can raise any error.
        return False
    # Not exactly equal: vector instructions round otherwise than scalar ones.
    return whole.shape == values.shape and np.allclose(whole[:, ::2], half, rtol=1e-5)


def _is_known(site: Site) -> bool:
    layer, kind = site.call.operation, _keras.known_kind(site.call.operation)
    if kind == "Activation":
        return is_elementwise(layer.activation)
    if kind in _KNOWN_IF_CHANNELS_LAST:
        return getattr(layer, "data_format", None) in (None, "channels_last")
    if kind == "BatchNormalization":
        axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
        return axes in ([-1], [len(site.inputs[0].shape)])
    return kind in _KNOWN


def _full(flow: Flow) -> tuple[int, ...]:
    return tuple(size or 4 for size in flow.shape[:-1])


def _reason(layer: Any) -> str:
    return f"{type(layer).__name__} is not known to treat each channel alone"
