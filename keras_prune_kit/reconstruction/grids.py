"""The values that rounded weights of each layer may have, as files need them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_flag
from keras_prune_kit.layer_inputs.kernels import Kernel
from keras_prune_kit.policies import (
    LayerBits,
    WeightBits,
    bits_of_layers,
    check_weight_bits,
)
from keras_prune_kit.reconstruction.rounding import Grid

# `quantize_aware` rounds these by one step, as the converter would transpose others.
_ONE_STEP = ("Dense", "EinsumDense", "Conv2DTranspose")


@dataclass(frozen=True)
class Rounding:
    """The rounding of kernels.

    Attributes:
        weight_bits: The bits of a weight, for all layers or by layer; `None` for no
            rounding.
        is_for_training: True for the steps of `quantize_aware`.
    """

    weight_bits: WeightBits | None
    is_for_training: bool

    def __post_init__(self) -> None:
        if self.weight_bits is not None:
            check_weight_bits(self.weight_bits)
        check_flag("for_quantize_aware", self.is_for_training)
        if self.is_for_training and self.weight_bits is None:
            raise ValueError(
                "for_quantize_aware says how weights are rounded, so it needs "
                "weight_bits. Received: weight_bits=None."
            )

    def in_model(self, model: Any) -> ModelGrids | None:
        """Return the values of a model's kernels; `None` without rounding.

        Raises:
            ValueError: If bits are for a layer that the model does not have.
        """
        if self.weight_bits is None:
            return None
        return grids_in_model(model, self.weight_bits, self.is_for_training)


@dataclass(frozen=True)
class ModelGrids:
    """The values that the rounded kernels of a model may have.

    Attributes:
        bits: The bits of each layer's weights.
        is_for_training: True for the steps of `quantize_aware`.
        folded: The normalization that is folded into a layer before its weights are
            rounded, by the id of the layer.
    """

    bits: LayerBits
    is_for_training: bool
    folded: dict[int, Any]

    def of(self, kernel: Kernel) -> tuple[Grid, ...]:
        """Return the values for each group of a kernel."""
        layer, (groups, _, outputs) = kernel.weight.layer, kernel.read().shape
        kind, bits = _keras.known_kind(layer), self.bits.of(layer)
        has_one_step = self.is_for_training and kind in _ONE_STEP
        normalization = self.folded.get(id(layer))
        scale = None if normalization is None else _scale(normalization, kernel.handle)
        if scale is None or scale.size != groups * outputs:
            return (Grid(bits, has_one_step),) * groups
        parts = scale.reshape(groups, outputs)
        return tuple(Grid(bits, has_one_step, part) for part in parts)


def grids_in_model(
    model: Any, weight_bits: WeightBits, is_for_training: bool
) -> ModelGrids:
    """Return the values of a model's kernels; see `Rounding`."""
    bits = bits_of_layers(model, weight_bits)
    # TFMOT, which trains `tf_keras` models, rounds before it folds.
    is_later = is_for_training and _keras.is_tf_keras(model)
    return ModelGrids(bits, is_for_training, {} if is_later else _folded(model))


def _folded(model: Any) -> dict[int, Any]:
    """Return the normalization that is folded into each layer, by the layer's id.

    It is the only one to read the layer's outputs, which have no activation.
    """
    if not _keras.has_graph(model):
        return {}
    graphs = [_keras.graph_of(part) for part in _keras.nested_models(model)]
    uses = Counter(id(call.operation) for graph in graphs for call in graph.calls)
    found = {}
    for graph in graphs:
        for call in graph.calls:
            reader = graph.only_consumer(call)
            if reader is None or not _is_linear(call.operation):
                continue
            layers = (call.operation, reader.operation)
            is_normalized = _keras.known_kind(layers[1]) == "BatchNormalization"
            if is_normalized and all(uses[id(layer)] == 1 for layer in layers):
                found[id(layers[0])] = layers[1]
    return found


def _is_linear(operation: Any) -> bool:
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", "") == "linear"


def _scale(normalization: Any, handle: _keras.Variables) -> np.ndarray:
    variance = handle.read(normalization.moving_variance).astype(np.float64)
    scale = 1 / np.sqrt(variance + normalization.epsilon)
    if normalization.scale:
        scale = scale * np.abs(handle.read(normalization.gamma).astype(np.float64))
    # A channel that is switched off has no scale, and may have any.
    return np.where(scale > 0, scale, 1.0)
