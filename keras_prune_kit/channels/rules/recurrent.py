"""Rules of recurrent layers: units leave with their gates and their states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.constants import activated
from keras_prune_kit.channels.flow import Flow, Reader, Slice
from keras_prune_kit.channels.rules.mixing import mixing, size_of
from keras_prune_kit.channels.rules.per_channel import is_elementwise

if TYPE_CHECKING:
    from keras_prune_kit.channels.site import Site

# The number of gates of a cell, and the one whose value is the candidate: if that is
# zero, so are the state and the output.
_GATES = {"LSTM": (4, 2), "GRU": (3, 2), "SimpleRNN": (1, 0)}
_GATES |= {f"{kind}Cell": gates for kind, gates in tuple(_GATES.items())}


def recurrent(site: Site) -> list[Flow]:
    """Make units, which leave with their gates and states."""
    layer, source = site.call.operation, site.inputs[0]
    cell = layer.cell
    if not _is_known(cell):
        return site.opaque(f"its cell {type(cell).__name__} is not known")
    states = site.inputs[1:]
    if len(states) > 2 or any(flow.shape != (cell.units,) for flow in states):
        return site.opaque("its states are not known")
    made, unit = _cell(site, layer, source, states)
    if hasattr(layer, "units"):
        site.resize(units=made)
    else:
        site.resize(cell={"config": {"units": made}})
    count = len(site.call.outputs)
    flows = [site.flow(made, index) for index in range(count)]
    return site.step(flows, lambda values: [values[0]] * count, [unit])


def bidirectional(site: Site) -> list[Flow]:
    """Make the units of both directions, which leave together."""
    layer, source = site.call.operation, site.inputs[0]
    halves = (layer.forward_layer, layer.backward_layer)
    if (
        not all(_is_known(half.cell) for half in halves)
        or len(site.inputs) > 1
        or len(site.call.outputs) > 1
    ):
        return site.opaque("a Bidirectional layer of this kind is not known")
    found = [_cell(site.inside(half.name), half, source) for half in halves]
    (forward, first), (backward, second) = found
    if len(forward) == len(backward):
        # Keras 2 makes the backward layer of the forward layer's configuration.
        site.tie(forward, backward)
    site.resize(
        layer={"config": {"units": forward}},
        backward_layer={"config": {"units": backward}},
    )
    if layer.merge_mode == "concat":
        output = site.flow(np.concatenate([forward, backward]))
        return site.step(
            [output], lambda values: [np.concatenate(values)], [first, second]
        )
    # Sums of zero and unknown values are unknown.
    return site.step(
        [site.flow(forward)], lambda values: [values[0] + values[1]], [first, second]
    )


def repeated_over_time(site: Site) -> list[Flow]:
    """Handle a TimeDistributed(Dense) as a Dense, which does the same."""
    layer = site.call.operation
    inner = layer.layer
    if _keras.known_kind(inner) != "Dense" or len(site.inputs) != 1:
        return site.opaque("only a Dense layer is known inside TimeDistributed")
    (source,) = site.inputs
    made = site.new(inner, "units", inner.units)
    site.cut(inner.kernel, source.ids, made, makes=1)
    site.resize(layer={"config": {"units": made}})
    site.multiply(source.positions, size_of(source.ids, inner.kernel, 0), made)
    return mixing(site, inner, source, made, inner.kernel, (0, 1), folds=False)


RECURRENT_RULES: dict[str, Callable[[Any], list[Flow]]] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), recurrent),
    "Bidirectional": bidirectional,
    "TimeDistributed": repeated_over_time,
}


def _is_known(cell: Any) -> bool:
    """Return True for a cell whose units are alone but for its kernels."""
    recurrent_activation = getattr(cell, "recurrent_activation", None)
    return (
        _keras.known_kind(cell) in _GATES
        and is_elementwise(cell.activation)
        and is_elementwise(recurrent_activation)
    )


def _cell(
    site: Site, layer: Any, source: Flow, states: Sequence[Flow] = ()
) -> tuple[np.ndarray, Flow]:
    """Record the weights of a cell; return its units, and its output at one step."""
    cell = layer.cell
    gates, candidate = _GATES[_keras.known_kind(cell) or ""]
    made = site.new(layer, "units", cell.units)
    tiled = np.tile(made, gates)
    site.cut(cell.kernel, source.ids, tiled, makes=1)
    site.cut(cell.recurrent_kernel, made, tiled, makes=1)
    weights = [cell.kernel, cell.recurrent_kernel]
    if getattr(cell, "bias", None) is not None:
        last = len(cell.bias.shape) - 1
        site.cut(cell.bias, *[None] * last, tiled, makes=last)
        weights.append(cell.bias)
    own_states = _own_states(layer)
    for state in own_states:
        site.cut(state, None, made)
    for state in states:
        if state.ids is not None:
            site.tie(state.ids, made)
    steps = source.shape[0] or 1
    site.multiply(steps, size_of(source.ids, cell.kernel, 0), tiled)
    site.multiply(steps, made, tiled)
    if source.ids is not None:
        site.read(Reader(source.ids, ((Slice(cell.kernel, 0, 1),),), (source,)))
    unit = Flow(made, (cell.units,))
    site.read(Reader(made, ((Slice(cell.recurrent_kernel, 0, 1),),), (unit,)))
    columns = np.arange(cell.units) + candidate * cell.units

    def constants(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not _is_zero_at_zero(cell.activation):
            return [np.full(cell.units, np.nan)]
        parts = [site.trace.value(w)[..., columns] for w in weights]
        parts += [_keras.as_array(state) for state in own_states]
        # Without a candidate a unit keeps its first state.
        rows = np.concatenate([p.reshape(-1, cell.units) for p in (*parts, *values)])
        return [np.where((rows == 0).all(0), 0.0, np.nan)]

    site.step([unit], constants, states)
    return made, unit


def _own_states(layer: Any) -> list[Any]:
    """Return the state variables of a stateful layer."""
    states = layer.states if layer.stateful else None
    return [state for state in states or () if hasattr(state, "assign")]


def _is_zero_at_zero(activation: Any) -> bool:
    at_zero = activated(activation, np.zeros(1), np.float32)
    return bool((at_zero == 0).all())
