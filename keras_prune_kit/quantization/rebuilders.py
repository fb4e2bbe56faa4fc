"""Rebuilders that add quantization wrappers to a Keras 3 model or remove them."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras

from keras_prune_kit import _keras
from keras_prune_kit._keras import Call
from keras_prune_kit.policies import LayerBits
from keras_prune_kit.quantization.fake_quantize import Barrier, FakeQuantize
from keras_prune_kit.quantization.layer_kinds import Kind
from keras_prune_kit.quantization.quantize_kernel import QuantizeKernel
from keras_prune_kit.quantization.range_planner import Range, RangePlan
from keras_prune_kit.quantization.rebuilding import rebuild
from keras_prune_kit.quantization.wrappers import (
    QuantizeAverage,
    QuantizeOutput,
    QuantizeScale,
)


class _Rebuilder(abc.ABC):
    """Copies a model and the models nested in it, replacing some layers."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._copies: list[tuple[Any, Any]] = []

    def build(self, model: Any) -> Any:
        """Return an uncompiled copy with the weights of the model."""
        copy = rebuild(model, self._once, self._call)
        # Only now, as a layer has no weights before its first call.
        for old, new in self._copies:
            _keras.copy_state(old, new)
        return copy

    @abc.abstractmethod
    def _make(self, operation: Any) -> Any:
        """Return the replacement of a layer or operation."""

    @abc.abstractmethod
    def _call(self, call: Call, layer: Any, args: Any, kwargs: Any) -> Any:
        """Return the new outputs for one call of the old model."""

    def _once(self, operation: Any) -> Any:
        """Return the replacement of a layer, the same one for all of its calls."""
        if id(operation) not in self._made:
            self._made[id(operation)] = self._make(operation)
        return self._made[id(operation)]

    def _fresh(self, operation: Any) -> Any:
        """Return a copy without a wrapper, to which `build` copies the weights."""
        fresh = _keras.copy_layer(operation)
        if isinstance(operation, keras.Layer):
            self._copies.append((operation, fresh))
        return fresh


class Quantizer(_Rebuilder):
    """Builds the quantization-aware copy of a model from a plan.

    Args:
        plan: The decision for each layer.
        bits: The bits of each layer's weights.
        preserve_sparsity: If True, zeros of kernels stay zero in training.

    Attributes:
        kernels: The wrappers of layers with kernels, by the id of the old layer.
    """

    def __init__(
        self, plan: RangePlan, bits: LayerBits, preserve_sparsity: bool
    ) -> None:
        super().__init__()
        self._plan = plan
        self._bits = bits
        self._preserve_sparsity = preserve_sparsity
        self._rounded_inputs: dict[int, Any] = {}
        self._names: Counter[str] = Counter()
        self.kernels: dict[int, QuantizeKernel] = {}

    def build(self, model: Any) -> Any:
        quantized = super().build(model)
        # After the weights were copied, which the steps have to fit.
        for wrapper in self.kernels.values():
            wrapper.fit_steps()
        return quantized

    def _make(self, operation: Any) -> Any:
        kind = self._plan.kind(operation)
        if kind is Kind.MODEL:
            return rebuild(operation, self._once, self._call)
        fresh = self._fresh(operation)
        if id(operation) in self._plan.inside:
            return QuantizeAverage(
                fresh, FakeQuantize(name="input"), name=operation.name
            )
        held = self._plan.held.get(id(operation))
        arguments = {
            "output_range": held and FakeQuantize(held.bounds, name="output"),
            "name": operation.name,
        }
        if kind is Kind.KERNEL:
            self.kernels[id(operation)] = self._kernel(operation, fresh, arguments)
            return self.kernels[id(operation)]
        if kind is Kind.SCALE and not self._plan.is_folded(operation):
            return QuantizeScale(fresh, **arguments)
        return QuantizeOutput(fresh, **arguments) if held else fresh

    def _kernel(self, layer: Any, fresh: Any, arguments: Any) -> QuantizeKernel:
        normalization = self._plan.folded.get(id(layer))
        return QuantizeKernel(
            fresh,
            self._bits.of(layer),
            normalization and self._once(normalization),
            self._preserve_sparsity,
            **arguments,
        )

    def _call(self, call: Call, layer: Any, args: Any, kwargs: Any) -> Any:
        if self._plan.is_folded(call.operation):
            return args[0]
        args, kwargs = self._with_rounded_inputs(call, args, kwargs)
        if id(call.operation) in self._plan.apart:
            args, kwargs = (
                keras.tree.map_structure(_after_barrier, part)
                for part in (args, kwargs)
            )
        if isinstance(layer, QuantizeOutput):
            kwargs.pop("mask", None)  # The tensor carries it to the inner layer.
        outputs = layer(*args, **kwargs)
        rounded = [
            self._rounded(old, new)
            for old, new in zip(call.outputs, keras.tree.flatten(outputs), strict=True)
        ]
        return keras.tree.pack_sequence_as(outputs, rounded)

    def _with_rounded_inputs(self, call: Call, *arguments: Any) -> Any:
        """Replace inputs of the model by their rounded form, made once on first use."""
        # Keras lists a call's inputs in the order in which its tree is flattened.
        before = iter(call.inputs)

        def replace(item: Any) -> Any:
            if not isinstance(item, keras.KerasTensor):
                return item
            old = next(before)
            if not isinstance(_keras.producer_of(old), keras.layers.InputLayer):
                return item
            if id(old) not in self._rounded_inputs:
                self._rounded_inputs[id(old)] = self._rounded(old, item)
            return self._rounded_inputs[id(old)]

        return keras.tree.map_structure(replace, arguments)

    def _rounded(self, old: Any, new: Any) -> Any:
        """Return a new tensor, rounded if the plan has a range for the old one."""
        found = self._plan.ranges.get(id(old))
        if found is None:
            return new
        before = Barrier()(new) if found.is_barrier else new
        return self._range(found, old)(before)

    def _range(self, found: Range, tensor: Any) -> FakeQuantize:
        name = f"{_keras.producer_of(tensor).name}_range"
        # Keras refuses a model with two layers of one name.
        self._names[name] += 1
        count = self._names[name]
        return FakeQuantize(
            found.bounds,
            name=name if count == 1 else f"{name}_{count}",
        )


class Stripper(_Rebuilder):
    """Builds the plain float model that computes with the rounded kernels."""

    def build(self, model: Any) -> Any:
        stripped = super().build(model)
        for old, new in self._copies:
            # Without an entry, `dict` is called: no changes.
            for name, value in self._changed.get(id(old), dict)().items():
                getattr(new, name).assign(value)
        return stripped

    def __init__(self) -> None:
        super().__init__()
        self._changed: dict[int, Callable[[], dict[str, Any]]] = {}
        self._normalizations: dict[int, Any] = {}

    def _make(self, operation: Any) -> Any:
        if _keras.is_graph(operation):
            return rebuild(operation, self._once, self._call)
        if isinstance(operation, (Barrier, FakeQuantize)):
            return operation  # `_call` leaves it out.
        if not isinstance(operation, QuantizeOutput):
            return self._fresh(operation)
        if isinstance(operation, QuantizeKernel):
            self._changed[id(operation.layer)] = operation.rounded_weights
            normalization = operation.normalization
            if normalization is not None:
                self._changed[id(normalization)] = operation.normalization_weights
                self._normalizations[id(operation)] = self._fresh(normalization)
        return self._fresh(operation.layer)

    def _call(self, call: Call, layer: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(call.operation, (Barrier, FakeQuantize)):
            return args[0]
        outputs = layer(*args, **kwargs)
        normalization = self._normalizations.get(id(call.operation))
        return outputs if normalization is None else normalization(outputs)


def _after_barrier(item: Any) -> Any:
    is_float = isinstance(item, keras.KerasTensor) and item.dtype == "float32"
    return Barrier()(item) if is_float else item
