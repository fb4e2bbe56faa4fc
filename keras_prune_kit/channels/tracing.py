"""Tracing: a walk along the calls of a model that follows each channel.

Each tensor carries the ids of the channels along its last axis. A layer that makes
channels gives new ids, one that treats each channel alone passes them on, one that adds
tensors ties them, and one that is not understood keeps them all. The rules for each
kind of layer are in `keras_prune_kit.channels.rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import (
    Cut,
    Flow,
    Made,
    Product,
    Reader,
    Step,
)
from keras_prune_kit.channels.rules import rule_for
from keras_prune_kit.channels.site import Resize, Site, arrays_in, fixed_flow
from keras_prune_kit.channels.ties import Ties


@dataclass(eq=False)
class Trace:
    """All that is known of the channels of a model.

    Attributes:
        model: The model.
        ties: The channels that stand and fall together.
        made: All channels, with the layers that make them.
        cuts: The weights with channels along their axes, by the id of the variable.
        resized: Entries of configurations that follow the channels, by the id of the
            layer.
        products: The multiplications of one forward pass of one sample.
        readers: The places where channels are mixed.
        steps: All calls in their order.
        kept: Channels that must stay, with reasons.
        coupled: Channels whose removal changes the others, even if they are zero, with
            reasons.
        unknown: Paths of layers whose multiplications are not counted.
        whole: Layers that lose nothing in any of their calls, with reasons.
        nested_inputs: The inputs of models inside the model, by their ids.
    """

    model: Any
    ties: Ties = field(default_factory=Ties)
    made: list[Made] = field(default_factory=list)
    cuts: dict[int, Cut] = field(default_factory=dict)
    resized: dict[int, dict[str, Resize]] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    kept: list[tuple[np.ndarray, str]] = field(default_factory=list)
    coupled: list[tuple[np.ndarray, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    whole: list[tuple[Any, str]] = field(default_factory=list)
    nested_inputs: dict[int, list[Flow]] = field(default_factory=dict)
    _new: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def are_kept(self, flows: Iterable[Flow]) -> bool:
        """Return True if all channels of some tensors must stay."""
        kept = self.reasons(self.kept)
        return all(
            root in kept
            for flow in flows
            if flow.ids is not None
            for root in self.ties.roots(flow.ids).tolist()
        )

    def reasons(self, marked: Sequence[tuple[np.ndarray, str]]) -> dict[int, str]:
        """Return the first reason for each set of tied channels, by its root."""
        found: dict[int, str] = {}
        for ids, reason in marked:
            for root in np.unique(self.ties.roots(ids)).tolist():
                found.setdefault(root, reason)
        return found


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
