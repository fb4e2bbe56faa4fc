"""Rules of attention, whose heads leave whole, and of layers that normalize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit.channels.constants import mixed_constants
from keras_prune_kit.channels.flow import Flow, Reader, Slice, unknown
from keras_prune_kit.channels.rules.mixing import size_of

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

_NORMALIZES = "normalized with the others: without it, these change"


def multi_head_attention(site: Site) -> list[Flow]:
    """Lose whole heads, or channels that all heads have in common."""
    layer = site.call.operation
    args, kwargs = site.arguments
    given = dict(zip(("query", "value", "key"), args, strict=False)) | kwargs
    if given.get("key") is None:
        given["key"] = given.get("value")
    attended = [_sequence(given.get(name)) for name in ("query", "value", "key")]
    query, value, key = attended
    if query is None or value is None or key is None:
        return site.opaque("attention over several axes is not known")
    for flow in site.inputs:
        if flow not in attended:
            site.keep(flow.ids, "a mask of attention")
    q, k, v = layer._query_dense, layer._key_dense, layer._value_dense
    out = layer._output_dense
    heads = site.new(layer, "heads", q.kernel.shape[1])
    size = site.new(layer, "head size", q.kernel.shape[2])
    values = site.new(layer, "value size", v.kernel.shape[2])
    made = site.new(layer, "units", out.kernel.shape[2])
    for flow, dense, dims in ((query, q, size), (key, k, size), (value, v, values)):
        scaled_by = size if dense is q else None
        site.cut(dense.kernel, flow.ids, heads, dims, makes=1, scaled_by=scaled_by)
        site.cut(dense.bias, heads, dims, makes=0, scaled_by=scaled_by)
        site.multiply(flow.positions, size_of(flow.ids, dense.kernel, 0), heads, dims)
        if flow.ids is not None:
            site.read(Reader(flow.ids, ((Slice(dense.kernel, 0),),), (flow,)))
    site.cut(out.kernel, heads, values, made, makes=2)
    site.cut(out.bias, made, makes=0)
    site.multiply(query.positions, heads, values, made)
    site.multiply(query.positions * value.positions, heads, size)
    site.multiply(query.positions * value.positions, heads, values)
    site.read(Reader(heads, (_parts(v, 1), (Slice(out.kernel, 0, 2),))))
    site.read(Reader(values, (_parts(v, 2), (Slice(out.kernel, 1, 2),))))
    site.read(Reader(size, (_parts(q, 2), _parts(k, 2))))
    if len(site.call.outputs) > 1:
        site.keep(heads, "its attention scores are an output")
    site.resize(
        num_heads=heads,
        key_dim=size,
        value_dim=values,
        output_shape=_output_shape(layer, query, made),
        **_input_shapes(layer, query_shape=query, key_shape=key, value_shape=value),
    )
    outputs = [site.flow(made)]
    outputs += [site.flow(None, index) for index in range(1, len(site.call.outputs))]

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        bias = np.zeros(len(made)) if out.bias is None else site.trace.value(out.bias)
        found = mixed_constants(
            site.trace.value(out.kernel), (None, 2), values[0], bias, False
        )
        return [found, *(unknown(flow) for flow in outputs[1:])]

    return site.step(outputs, constants)


def dot_product_attention(site: Site) -> list[Flow]:
    """Handle Attention and AdditiveAttention: queries and keys share their channels."""
    layer = site.call.operation
    args, _ = site.arguments
    first = args[0] if args else None
    given = list(first) if isinstance(first, list | tuple) else []
    if (
        not 2 <= len(given) <= 3
        or len(site.call.outputs) > 1
        or len(given) != len(site.inputs)
    ):
        return site.opaque("attention with these arguments is not known")
    query, value, key = (*given, given[1])[:3]
    if query.ids is None or value.ids is None or key.ids is None:
        return site.opaque("the channels of its inputs are not known")
    site.tie(query.ids, key.ids)
    for weight in layer.weights:
        if tuple(weight.shape) == (len(query.ids),):
            # Keras 3 takes its size from the query, and Keras 2 from the value.
            site.cut(weight, query.ids)
            site.tie(query.ids, value.ids)
    if getattr(layer, "score_mode", None) == "dot":
        site.read(Reader(query.ids, (), (query, key)))
    else:
        site.couple(query.ids, "its score is of a sum")
    # Means over places of a channel that is zero everywhere are zero.
    return site.step(
        [site.flow(value.ids)],
        lambda values: [np.where(values[site.inputs.index(value)] == 0, 0.0, np.nan)],
    )


def normalized(site: Site) -> list[Flow]:
    """Handle a normalization over the channels of each place."""
    layer, (source,) = site.call.operation, site.inputs
    axis = layer.axis if isinstance(layer.axis, int) else list(layer.axis)
    if isinstance(axis, list):
        axis = axis[0] if len(axis) == 1 else None
    if source.ids is None or axis not in (-1, len(source.shape)):
        return site.opaque("it normalizes over other axes than the channels")
    for weight in layer.weights:
        site.cut(weight, source.ids, makes=0)
    site.couple(source.ids, _NORMALIZES)
    return site.step([site.flow(source.ids)])


ATTENTION_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    "MultiHeadAttention": multi_head_attention,
    **dict.fromkeys(("Attention", "AdditiveAttention"), dot_product_attention),
    **dict.fromkeys(
        ("LayerNormalization", "RMSNormalization", "UnitNormalization"), normalized
    ),
}


def _parts(dense: Any, axis: int) -> tuple[Slice, ...]:
    """Return the slices that make one head or dimension of a projection."""
    kernel = Slice(dense.kernel, axis)
    return (kernel,) if dense.bias is None else (kernel, Slice(dense.bias, axis - 1))


def _sequence(item: Any) -> Flow | None:
    """Return a tensor of places by channels; `None` for anything else."""
    is_one = isinstance(item, Flow) and item.ids is not None and len(item.shape) == 2
    return item if is_one else None


def _output_shape(
    layer: Any, query: Flow, made: np.ndarray
) -> Callable[[Callable[[Any], int]], int | None]:
    """Return the new value of the entry, which defaults to the size of the query."""
    is_default = layer.get_config().get("output_shape") is None
    return lambda count: (
        None if is_default and count(made) == count(query.ids) else count(made)
    )


def _input_shapes(layer: Any, **inputs: Flow) -> dict[str, tuple[Any, ...]]:
    """Return the shapes of its inputs, which Keras 2 keeps in the configuration."""
    config = layer.get_config()
    return {
        name: (*tuple(config[name])[:-1], flow.ids)
        for name, flow in inputs.items()
        if config.get(name)
    }
