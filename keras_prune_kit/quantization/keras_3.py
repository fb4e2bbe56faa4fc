"""Quantization-aware training of Keras 3 models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras import graph_of
from keras_prune_kit.policies import LayerBits, Match, covered_layers
from keras_prune_kit.quantization.activations import has_int8
from keras_prune_kit.quantization.layer_kinds import Kind
from keras_prune_kit.quantization.quantize_kernel import QuantizeKernel
from keras_prune_kit.quantization.range_planner import RangePlan, plan_for
from keras_prune_kit.quantization.rebuilders import Quantizer, Stripper
from keras_prune_kit.reports import Converted, LayerReport, Skipped, skipped_lines


def quantize(
    model: Any, bits: LayerBits, preserve_sparsity: bool, skip: Match | None
) -> Converted:
    """Build the quantization-aware copy of a Keras 3 model; see `quantize_aware`."""
    check_model(model)
    places = list(_places(model))
    skipped = set() if skip is None else covered_layers(skip, places, "skip")
    plan = plan_for(model, lambda layer: id(layer) in skipped)
    if not any(verdict.kind is Kind.KERNEL for verdict in plan.verdicts.values()):
        lines = skipped_lines(_skipped(plan, places))
        raise ValueError(
            f"No layer of model '{model.name}' has a kernel to quantize.{lines}"
        )
    quantizer = Quantizer(plan, bits, preserve_sparsity)
    quantized = quantizer.build(model)
    if preserve_sparsity:
        _keras.keep_zeros_of(quantized)  # Also in layers that stay float.
    _keras.compile_like(model, quantized)
    done = [
        (path, _what_was_done(layer, plan, quantizer.kernels))
        for path, layers in places
        for layer in layers[-1:]
        if plan.kind(layer) not in (Kind.FLOAT, Kind.MODEL)
    ]
    return Converted(quantized, LayerReport(tuple(done), tuple(_skipped(plan, places))))


def strip(model: Any) -> Any:
    """Build the plain copy of a Keras 3 model; see `strip_quantization`."""
    stripped = Stripper().build(model)
    _keras.compile_like(model, stripped)
    return stripped


def check_model(model: Any) -> None:
    """Raise a `ValueError` unless the model can be copied by layer and trained."""
    if not _keras.is_graph(model):
        raise ValueError(
            "Quantization-aware training copies a model layer by layer, so it needs a "
            f"Sequential or functional model. Received: '{model.name}' of class "
            f"{type(model).__name__}. Build the same layers with keras.Model(inputs, "
            "outputs), or quantize after training: kpk.export_tflite(model, "
            "quantization='int8', representative_data=...)."
        )
    for path, layers in _places(model):
        dtype = getattr(layers[-1], "compute_dtype", "float32")
        if dtype in ("float16", "bfloat16"):
            raise ValueError(
                "Quantization-aware training computes in float32. Received: layer "
                f"'{path}' that computes in {dtype}. Build the model with the dtype "
                "policy 'float32' and copy the weights with set_weights."
            )
        if getattr(layers[-1], "quantization_mode", None) is not None:
            raise ValueError(
                f"Layer '{path}' is quantized already (layer.quantize). Start from the "
                "float model."
            )


def _places(
    model: Any, prefix: str = "", above: tuple[Any, ...] = ()
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the path of each layer and operation once, with its layers.

    The layers are those that contain it, outermost first, and itself.
    """
    seen: set[int] = set()
    for call in graph_of(model).calls:
        layer, layers = call.operation, (*above, call.operation)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield f"{prefix}{layer.name}", layers
        if _keras.is_graph(layer):
            yield from _places(layer, f"{prefix}{layer.name}/", layers)


def _skipped(
    plan: RangePlan, places: list[tuple[str, tuple[Any, ...]]]
) -> list[Skipped]:
    return [
        Skipped(path, plan.verdicts[id(layers[-1])].reason)
        for path, layers in places
        if plan.kind(layers[-1]) is Kind.FLOAT
    ]


def _what_was_done(
    layer: Any, plan: RangePlan, kernels: dict[int, QuantizeKernel]
) -> str:
    for other, normalization in plan.folded.items():
        if normalization is layer:
            return f"folded into {kernels[other].name}"
    if id(layer) not in kernels:
        return "int8"
    wrapper = kernels[id(layer)]
    bits = wrapper.weight_bits
    containers = sorted(set(wrapper.container_bits()))
    packed = " and ".join(f"int{size}" for size in containers)
    text = packed if containers == [bits] else f"{bits} bits in {packed}"
    if has_int8(layer.activation):
        return text
    return f"{text}, its activation in float"
