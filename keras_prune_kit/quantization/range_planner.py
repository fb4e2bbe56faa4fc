"""The planner: places fake-quant nodes in a graph and folds normalizations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_prune_kit._keras import Call, Graph, graph_of, nested_models
from keras_prune_kit.quantization.activations import activation_of, bounds_of, has_int8
from keras_prune_kit.quantization.layer_kinds import (
    Kind,
    Verdict,
    adds_dimension,
    averages,
    does_nothing,
    is_fused_activation,
    is_max_pooling,
    mixes,
    narrows,
    takes_and_gives_one_range,
    takes_in_activation,
    takes_in_normalization,
    verdict_on,
)
from keras_prune_kit.quantization.masked_ranges import masking_calls

_INT8 = (Kind.KERNEL, Kind.SCALE, Kind.OWN_RANGE, Kind.MODEL)


@dataclass(frozen=True)
class Range:
    """The fake-quant node of one tensor.

    Attributes:
        bounds: The range that .tflite prescribes; `None` for a moving average.
        is_barrier: True if a `Barrier` must keep the tensor's producer float.
    """

    bounds: tuple[float, float] | None = None
    is_barrier: bool = False


@dataclass
class RangePlan:
    """The decisions for a model and the models nested in it.

    Attributes:
        verdicts: The kind of each layer and operation, by its id.
        folded: The normalization folded into a layer, by the layer's id.
        held: The range of a layer's output inside its wrapper, by the layer's id.
        ranges: The range that follows a tensor as a layer, by the tensor's id.
        inside: Ids of layers that round their input inside; see `QuantizeAverage`.
        apart: Ids of float layers that need a barrier on their inputs too.
        uses: Number of calls of each layer, by its id.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    folded: dict[int, Any] = field(default_factory=dict)
    held: dict[int, Range] = field(default_factory=dict)
    ranges: dict[int, Range] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)
    apart: set[int] = field(default_factory=set)
    uses: Counter[int] = field(default_factory=Counter)

    def kind(self, operation: Any) -> Kind:
        """Return the kind of a layer or operation."""
        return self.verdicts[id(operation)].kind

    def is_folded(self, operation: Any) -> bool:
        """Return True if a layer is folded into its producer."""
        return any(operation is other for other in self.folded.values())

    def is_used_once(self, operation: Any) -> bool:
        """Return True if a layer is called once, so its wrapper can hold a range."""
        return self.uses[id(operation)] == 1


def plan_for(model: Any, skips: Callable[[Any], bool]) -> RangePlan:
    """RangePlan the quantization of a model and of the models nested in it.

    Args:
        model: A built Sequential or functional model.
        skips: Returns True for a layer that must stay float.
    """
    plan = RangePlan()
    graphs = {id(part): graph_of(part) for part in nested_models(model)}
    # All uses first: a layer may be called in several of the models.
    for graph in graphs.values():
        plan.uses.update(id(call.operation) for call in graph.calls)
    for key, graph in graphs.items():
        _GraphPlanner(graph, plan, skips, is_outermost=key == id(model)).run()
    return plan


class _GraphPlanner:
    """Adds the decisions for one graph to a plan."""

    def __init__(
        self,
        graph: Graph,
        plan: RangePlan,
        skips: Callable[[Any], bool],
        *,
        is_outermost: bool,
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._skips = skips
        self._is_outermost = is_outermost
        self._masking = masking_calls(graph)
        self._rounded: set[int] = set()
        self._taken_in: set[int] = set()
        self._just_rounded: set[int] = set()

    def run(self) -> None:
        # In topological order, as a verdict looks at those of the producers.
        for call in self._graph.calls:
            self._judge(call)
        self._fold_normalizations()
        for tensor in self._graph.inputs:
            self._round_input(tensor)
        for call in self._graph.calls:
            self._place_range(call)

    def _judge(self, call: Call) -> None:
        verdict = verdict_on(call)
        if self._skips(call.operation):
            verdict = Verdict(Kind.FLOAT, "skip")
        elif verdict.kind is not Kind.FLOAT and id(call) in self._masking:
            verdict = Verdict(Kind.FLOAT, "masked scores have no usable range")
        elif verdict.kind in (Kind.OWN_RANGE, Kind.SCALE) and self._follows_float(call):
            verdict = Verdict(Kind.FLOAT, "it has float inputs")
        elif any(self._would_change(call, tensor) for tensor in call.inputs):
            reason = "other layers need its input in a wider range"
            verdict = Verdict(Kind.FLOAT, reason)
        # A shared layer keeps the verdict on its first call.
        self._plan.verdicts.setdefault(id(call.operation), verdict)

    def _follows_float(self, call: Call) -> bool:
        """Return True if the inputs are float, so the call should stay float too.

        One float input is enough for an operator whose inputs share one scale: the
        converter does not requantize a tensor that was float to that scale.
        """
        found = [self._graph.producer(tensor) for tensor in call.inputs]
        if takes_and_gives_one_range(call.operation):
            return any(
                other is not None and self._gives_float(other) for other in found
            )
        return all(other is not None and self._is_float(other) for other in found)

    def _would_change(self, call: Call, tensor: Any) -> bool:
        """Return True if other consumers would get a tensor in a call's narrower range.

        The converter propagates that range backwards through operators whose input and
        output share one scale, up to the last fake-quant node.
        """
        before = self._graph.producer(tensor)
        return (
            narrows(call.operation)
            and before is not None
            and self._plan.kind(before.operation) is Kind.SAME_RANGE
            and not does_nothing(before.operation)
            and len(self._graph.consumers(tensor)) > 1
        )

    def _is_float(self, call: Call) -> bool:
        return self._plan.kind(call.operation) is Kind.FLOAT

    def _gives_float(self, call: Call) -> bool:
        # A layer with kernels computes an activation without an int8 form in float.
        if self._plan.kind(call.operation) is not Kind.KERNEL:
            return self._is_float(call)
        return not has_int8(call.operation.activation)

    def _fold_normalizations(self) -> None:
        for call in self._graph.calls:
            consumer = self._graph.only_consumer(call)
            if consumer is not None and self._folds(call, consumer):
                self._plan.folded[id(call.operation)] = consumer.operation

    def _folds(self, call: Call, consumer: Call) -> bool:
        return (
            type(consumer.operation).__name__ == "BatchNormalization"
            and self._plan.kind(call.operation) is Kind.KERNEL
            and self._plan.kind(consumer.operation) is Kind.SCALE
            and takes_in_normalization(call.operation)
            and self._plan.is_used_once(call.operation)
            and self._plan.is_used_once(consumer.operation)
        )

    def _round_input(self, tensor: Any) -> None:
        """Round an input of the outermost model; nested models get rounded inputs."""
        if not self._is_outermost:
            self._rounded.add(id(tensor))
        elif tensor.dtype == "float32" and self._is_wanted(tensor):
            self._add(tensor, Range())

    def _is_wanted(self, tensor: Any) -> bool:
        """Return True if a tensor reaches an int8 operator or leaves a nested model."""
        if not self._is_outermost and self._graph.is_output(tensor):
            return True
        return any(
            self._plan.kind(call.operation) in _INT8
            or (
                self._plan.kind(call.operation) is Kind.SAME_RANGE
                and any(map(self._is_wanted, call.outputs))
            )
            for call in self._graph.consumers(tensor)
        )

    def _place_range(self, call: Call) -> None:
        kind = self._plan.kind(call.operation)
        if id(call) in self._taken_in or kind is Kind.MODEL:
            self._rounded.update(map(id, call.outputs))
        elif kind is Kind.SAME_RANGE:
            if all(id(tensor) in self._rounded for tensor in call.inputs):
                self._keep_range(call)
        elif kind is Kind.FLOAT:
            self._round_float(call)
        else:
            self._round_int8(call)

    def _keep_range(self, call: Call) -> None:
        self._rounded.update(map(id, call.outputs))
        is_just_rounded = all(
            id(tensor) in self._just_rounded for tensor in call.inputs
        )
        if adds_dimension(call.operation):
            self._plan.inside.add(id(call.operation))
        elif averages(call.operation) and not is_just_rounded:
            self._add(call.inputs[0], Range())
        if does_nothing(call.operation) and is_just_rounded:
            self._just_rounded.update(map(id, call.outputs))

    def _round_float(self, call: Call) -> None:
        is_barrier = any(id(tensor) in self._rounded for tensor in call.inputs)
        if is_barrier and mixes(call):
            self._plan.apart.add(id(call.operation))
        for tensor in call.outputs:
            if "float" in tensor.dtype and self._is_wanted(tensor):
                self._add(tensor, Range(is_barrier=is_barrier))

    def _round_int8(self, call: Call) -> None:
        end = self._end(call)
        self._rounded.update(map(id, (*call.outputs, *end.outputs)))
        bounds = _bounds_of(end.operation)
        # The converter quantizes an output with prescribed bounds by itself, and a loss
        # needs it unrounded.
        is_model_output = self._is_outermost and self._graph.is_output(end.outputs[0])
        if "float" not in end.outputs[0].dtype or (bounds and is_model_output):
            return
        is_folded = self._plan.is_folded(end.operation)
        # A folded normalization is no layer of the new model.
        holder = call.operation if is_folded else end.operation
        if isinstance(holder, keras.Layer) and self._plan.is_used_once(holder):
            self._plan.held[id(holder)] = Range(bounds)
            self._just_rounded.update(map(id, end.outputs))
        else:
            self._add(end.outputs[0], Range(bounds))

    def _add(self, tensor: Any, found: Range) -> None:
        self._plan.ranges[id(tensor)] = found
        self._rounded.add(id(tensor))
        self._just_rounded.add(id(tensor))

    def _end(self, call: Call) -> Call:
        """Return the call whose output gets the range of a call.

        The range follows everything that is fused into the operator, and a max pooling,
        which leaves fewer values to round.
        """
        takes_activation = takes_in_activation(call.operation)
        consumer = self._graph.only_consumer(call)
        if consumer is not None and self._plan.folded.get(id(call.operation)):
            call, consumer = self._take_in(consumer)
        while consumer is not None and self._joins(call, consumer, takes_activation):
            takes_activation = takes_activation and not self._is_fused(consumer)
            call, consumer = self._take_in(consumer)
        return call

    def _joins(self, call: Call, consumer: Call, takes_activation: bool) -> bool:
        """Return True if no fake-quant is needed between a call and its consumer."""
        if self._is_fused(consumer):
            return takes_activation
        if (
            not self._is_pooling(consumer)
            or takes_and_gives_one_range(call.operation)
            or _bounds_of(call.operation) is not None
        ):
            return False
        # The converter fuses an activation that follows into the pooling, whose input
        # and output share one scale.
        after = self._graph.only_consumer(consumer)
        return takes_activation or after is None or not self._is_fused(after)

    def _take_in(self, call: Call) -> tuple[Call, Call | None]:
        self._taken_in.add(id(call))
        return call, self._graph.only_consumer(call)

    def _is_fused(self, call: Call) -> bool:
        is_int8 = self._plan.kind(call.operation) is Kind.OWN_RANGE
        return is_int8 and is_fused_activation(call.operation)

    def _is_pooling(self, call: Call) -> bool:
        is_same = self._plan.kind(call.operation) is Kind.SAME_RANGE
        return is_same and is_max_pooling(call.operation)


def _bounds_of(operation: Any) -> tuple[float, float] | None:
    """Return the prescribed range of an operation's output, or `None`."""
    activation = activation_of(operation) or getattr(operation, "activation", None)
    return None if activation is None else bounds_of(activation)
