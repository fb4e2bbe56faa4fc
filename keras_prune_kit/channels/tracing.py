"""Tracing: a walk along the calls of a model that follows each channel.

Each tensor carries the ids of the channels along its last axis. A layer that makes
channels gives new ids, one that treats each channel alone passes them on, one that adds
tensors ties them, and one that is not understood keeps them all. The rules for each
kind of layer are in `keras_prune_kit.channels.rules`.
"""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow
from keras_prune_kit.channels.rules import rule_for
from keras_prune_kit.channels.site import Site, arrays_in, fixed_flow
from keras_prune_kit.channels.traces import Trace


def trace(model: Any) -> Trace:
    """Trace the channels of a model.

    Args:
        model: A built Sequential or functional model of either world.
    """
    found = Trace(model)
    inputs = [
        fixed_flow(found, tensor, "an input of the model")
        for tensor in _keras.graph_of(model).inputs
    ]
    outputs = _walk(found, model, inputs, "", False)
    given = [flow.ids for flow in outputs if flow.ids is not None]
    # First, as the reason that a user understands best.
    found.kept[:0] = [(ids, "an output of the model") for ids in given]
    _keep_whole(found)
    return found


def is_followed(model: Any) -> bool:
    """Return True for a model whose calls are those of its graph."""
    # A subclass with a `call` of its own has no known kind.
    return _keras.known_kind(model) is not None and _keras.has_graph(model)


def _keep_whole(found: Trace) -> None:
    """Keep what other calls of layers that lose nothing would cut from them."""
    for layer, reason in found.whole:
        cuts = [found.cuts.get(id(w)) for w in getattr(layer, "weights", ())]
        axes = [ids for cut in cuts if cut is not None for ids in cut.axes]
        entries = arrays_in(found.resized.get(id(layer)))
        found.kept += [(ids, reason) for ids in (*axes, *entries) if ids is not None]


def _walk(
    found: Trace, model: Any, inputs: list[Flow], path: str, is_training: bool
) -> list[Flow]:
    """Trace the calls of a model and return the flows of its outputs."""
    graph = _keras.graph_of(model)
    flows = {
        id(tensor): flow for tensor, flow in zip(graph.inputs, inputs, strict=True)
    }
    for call in graph.calls:
        operation, masks = call.operation, call.masks
        name = f"{path}{operation.name}"
        trains = is_training or call.is_training
        given = [flows[id(tensor)] for tensor in call.inputs]
        for flow in (given[number] for number in masks):
            if flow.ids is not None:
                found.kept.append((flow.ids, "a mask"))
        before = [flow for number, flow in enumerate(given) if number not in masks]
        if is_followed(operation):
            after = _nested(found, operation, before, f"{name}/", trains)
        else:
            site = Site(found, call, name, tuple(before), trains)
            after = rule_for(call)(site)
        flows |= {id(t): flow for t, flow in zip(call.outputs, after, strict=True)}
    return [flows[id(tensor)] for tensor in graph.outputs]


def _nested(
    found: Trace, model: Any, inputs: list[Flow], path: str, is_training: bool
) -> list[Flow]:
    """Trace a call of a model inside the model; all of its calls have equal inputs."""
    known = found.nested_inputs.setdefault(id(model), inputs)
    for first, now in zip(known, inputs, strict=True):
        if first.ids is not None and now.ids is not None and first is not now:
            found.ties.tie(first.ids, now.ids)
    return _walk(found, model, inputs, path, is_training)
