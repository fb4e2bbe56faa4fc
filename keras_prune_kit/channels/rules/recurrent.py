"""Rules of recurrent layers: units leave with their gates and their states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow, Reader, Slice, unknown

if TYPE_CHECKING:
    from keras_prune_kit.channels.tracing import Site

# The number of gates of a cell, and the one whose value is the candidate: if that is
# zero, so are the state and the output.
_GATES = {"LSTM": (4, 2), "GRU": (3, 2), "SimpleRNN": (1, 0)}
_GATES |= {f"{kind}Cell": gates for kind, gates in tuple(_GATES.items())}


def recurrent(site: Site) -> list[Flow]:
    layer, source = site.call.operation, site.inputs[0]
    cell = layer.cell
    kind = _keras.known_kind(cell)
    if kind not in _GATES:
        return site.opaque(f"its cell {type(cell).__name__} is not known")
    made, is_zero = _cell(site, layer, source, site.inputs)
    if cell is layer or hasattr(layer, "units"):
        site.resize(units=made)
    else:
        site.resize(cell={"units": made})
    for state in site.inputs[1:]:
        if state.ids is not None:
            site.tie(state.ids, made)
    return _outputs(site, [made] * len(site.call.outputs), [is_zero])


def bidirectional(site: Site) -> list[Flow]:
    layer, source = site.call.operation, site.inputs[0]
    halves = (layer.forward_layer, layer.backward_layer)
    if (
        any(_keras.known_kind(half.cell) not in _GATES for half in halves)
        or len(site.inputs) > 1
        or len(site.call.outputs) > 1
    ):
        return site.opaque("a Bidirectional layer of this kind is not known")
    found = [_cell(site.inside(half.name), half, source, ()) for half in halves]
    (forward, zero_forward), (backward, zero_backward) = found
    # Keras 2 makes the backward layer of the forward layer's configuration.
    site.tie(forward, backward)
    site.resize(
        layer={"config": {"units": forward}},
        backward_layer={"config": {"units": backward}},
    )
    if layer.merge_mode == "concat":
        ids = np.concatenate([forward, backward])
        return _outputs(site, [ids], [zero_forward, zero_backward])
    return _outputs(site, [forward], [zero_forward])


def repeated_over_time(site: Site) -> list[Flow]:
    """Handle a TimeDistributed(Dense) as a Dense, which does the same."""
    layer = site.call.operation
    inner = layer.layer
    if _keras.known_kind(inner) != "Dense" or len(site.inputs) != 1:
        return site.opaque("only a Dense layer is known inside TimeDistributed")
    (source,) = site.inputs
    made = site.new(inner, "units", inner.units)
    site.cut(inner.kernel, source.ids, made, makes=1)
    site.cut(inner.bias, made, makes=0)
    site.resize(layer={"config": {"units": made}})
    site.multiply(source.positions, *([] if source.ids is None else [source.ids]), made)
    if source.ids is not None:
        site.read(Reader(source.ids, ((Slice(inner.kernel, 0, 1),),), (source,)))
    return site.step([site.flow(made)])


RECURRENT_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), recurrent),
    "Bidirectional": bidirectional,
    "TimeDistributed": repeated_over_time,
}


def _cell(
    site: Site, layer: Any, source: Flow, states: Sequence[Flow]
) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """Record the weights of a cell; return its units and a function for zero units."""
    cell = layer.cell
    gates, candidate = _GATES[_keras.known_kind(cell) or ""]
    made = site.new(layer, "units", cell.units)
    tiled = np.tile(made, gates)
    site.cut(cell.kernel, source.ids, tiled, makes=1)
    site.cut(cell.recurrent_kernel, made, tiled, makes=1)
    bias = getattr(cell, "bias", None)
    if bias is not None:
        last = len(bias.shape) - 1
        site.cut(bias, *[None] * last, tiled, makes=last)
    steps = source.shape[0] or 1
    inputs = cell.kernel.shape[0] if source.ids is None else source.ids
    site.multiply(steps, inputs, tiled)
    site.multiply(steps, made, tiled)
    if source.ids is not None:
        site.read(Reader(source.ids, ((Slice(cell.kernel, 0, 1),),), (source,)))
    columns = np.arange(cell.units) + candidate * cell.units
    weights = [w for w in (cell.kernel, cell.recurrent_kernel, bias) if w is not None]
    silent = tuple(Slice(w, len(w.shape) - 1, None, columns) for w in weights)
    is_at_zero = cell.activation is None or _is_zero_at_zero(cell.activation)
    inside = ((Slice(cell.recurrent_kernel, 0, 1),), *([silent] if is_at_zero else []))
    site.read(Reader(made, inside))

    def is_zero() -> np.ndarray:
        if not is_at_zero or len(states) > 1:
            return np.zeros(cell.units, bool)
        parts = [
            _keras.as_array(w)[..., columns].reshape(-1, cell.units) for w in weights
        ]
        return (np.concatenate(parts) == 0).all(0)

    return made, is_zero


def _outputs(
    site: Site, ids: list[np.ndarray], zeros: list[Callable[[], np.ndarray]]
) -> list[Flow]:
    flows = [site.flow(channels, index) for index, channels in enumerate(ids)]

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        silent = np.concatenate([is_zero() for is_zero in zeros])
        if len(silent) != len(ids[0]):
            return [unknown(flow) for flow in flows]
        return [np.where(silent, 0.0, np.nan)] * len(flows)

    return site.step(flows, constants)


def _is_zero_at_zero(activation: Any) -> bool:
    return bool(
        (_keras.applied_to(activation, np.zeros((1, 1), np.float32)) == 0).all()
    )
