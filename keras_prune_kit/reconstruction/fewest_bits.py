"""The fewest bits of each layer with which a model still gives its outputs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_number
from keras_prune_kit.layer_inputs.kernels import Kernel, find_kernels
from keras_prune_kit.layer_inputs.model_inputs import (
    Batches,
    checked_arrays,
    in_batches,
)
from keras_prune_kit.reconstruction.divergence import divergence, outputs_in_batches
from keras_prune_kit.reconstruction.grids import ModelGrids, Rounding
from keras_prune_kit.reconstruction.rounding import Grid, round_to_nearest

# With 8 bits, outputs are taken for those of the model: they cost no pass.
_MOST_BITS = 8
_FEWER = (4, 3, 2)
_SAMPLES = 256
# Of a limit, in which divergences are counted.
_PARTS = 10_000


@dataclass(frozen=True)
class ScoredLayer:
    """What rounding the weights of a layer alone does to a model's outputs.

    Attributes:
        path: The path of the layer.
        weights: The number of its weights that are not zero.
        divergences: The divergence of the outputs, by bits of a weight.
    """

    path: str
    weights: int
    divergences: dict[int, float]


def fewest_bits(
    model: Any, data: Any, *, most_divergence: float, batch_size: int | None = None
) -> dict[str, int]:
    """Return 8, 4, 3 or 2 bits for each layer, as `weight_bits` of `quantize_aware`.

    Layers are rounded one at a time, to the nearest values that `quantize_aware` begins
    with, and what that does to the outputs is added up. A repair or training makes up
    for most of it, so the outputs of all layers together come out far closer.

    Args:
        model: A built model of either world, on any backend. It is not changed.
        data: Inputs like those of training, without labels, as in `reconstruct`. The
            first 256 are taken.
        most_divergence: The most that the sum over layers may be, as the squared
            difference of outputs relative to their variance.
        batch_size: As in `reconstruct`. Defaults to `None`: all samples at once.

    Returns:
        The bits by a regex for the path of each layer with kernels.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the model is not built or cannot be copied, or inputs are of
            another shape or not finite.
    """
    check_number("most_divergence", most_divergence, 0)
    _keras.world(model)
    model = _keras.trained_model(model)
    _keras.check_built(model)
    arrays = [array[:_SAMPLES] for array in checked_arrays(model, data)]
    batches = in_batches(model, arrays, batch_size)
    copied = _keras.copy_model(model)
    scored = _scored_layers(copied, batches)
    return {
        re.escape(path): bits
        for path, bits in cheapest_bits(scored, most_divergence).items()
    }


def cheapest_bits(layers: Sequence[ScoredLayer], most: float) -> dict[str, int]:
    """Return the bits of each layer that save most, with divergences within a limit.

    It is the knapsack problem, solved for divergences in whole parts of the limit.

    Args:
        layers: The layers.
        most: The limit of the sum of their divergences.
    """
    # The most that layers so far can save, for each number of parts that they may add.
    saved, choices = np.zeros(_PARTS + 1), []
    for layer in layers:
        best = np.full(_PARTS + 1, -np.inf)
        chosen = np.zeros(_PARTS + 1, int)
        for bits, found in layer.divergences.items():
            added = _parts(found, most)
            if added > _PARTS:
                continue
            own = np.full(_PARTS + 1, -np.inf)
            own[added:] = saved[: _PARTS + 1 - added] - layer.weights * bits
            chosen = np.where(own > best, bits, chosen)
            best = np.maximum(own, best)
        saved = best
        choices.append(chosen)
    bits_of, left = {}, _PARTS
    for layer, chosen in zip(reversed(layers), reversed(choices), strict=True):
        bits = int(chosen[left])
        bits_of[layer.path] = bits
        left -= _parts(layer.divergences[bits], most)
    return {layer.path: bits_of[layer.path] for layer in layers}


def _parts(found: float, most: float) -> int:
    """Return a divergence in parts of the limit, rounded up; one too many if above."""
    if found <= 0:
        return 0
    return math.ceil(found / most * _PARTS) if found <= most else _PARTS + 1


def _scored_layers(model: Any, batches: Batches) -> list[ScoredLayer]:
    """Return the layers of a model with kernels; afterwards it is as it was."""
    kernels: dict[int, list[Kernel]] = {}
    for item in find_kernels(model):
        if isinstance(item, Kernel):
            kernels.setdefault(id(item.weight.layer), []).append(item)
    grids = {bits: Rounding(bits, True).in_model(model) for bits in _FEWER}
    wanted = outputs_in_batches(model, batches)
    scored = []
    for own in kernels.values():
        divergences = {_MOST_BITS: 0.0}
        for bits, values in grids.items():
            with _rounded(own, values):
                given = outputs_in_batches(model, batches)
            divergences[bits] = divergence(wanted, given)
        weights = sum(int(np.count_nonzero(kernel.value())) for kernel in own)
        scored.append(ScoredLayer(own[0].weight.layer_path, weights, divergences))
    return scored


@contextlib.contextmanager
def _rounded(kernels: Sequence[Kernel], values: ModelGrids) -> Iterator[None]:
    """Round the kernels of a layer to the nearest values, within the `with` block."""
    handle, layer = kernels[0].handle, kernels[0].weight.layer
    # Of a separable convolution: no repair solves it, but training rounds it too.
    is_separable = hasattr(layer, "pointwise_kernel")
    beside = [layer.depthwise_kernel] if is_separable else []
    variables = [*(kernel.weight.variable for kernel in kernels), *beside]
    # Copies: on some backends `read` returns a view.
    before = [np.array(handle.read(variable)) for variable in variables]
    try:
        for kernel in kernels:
            _round(kernel, values.of(kernel))
        for variable in beside:
            value = handle.read(variable)
            # Its channels are the last two axes.
            flat = value.reshape(math.prod(value.shape[:-2]), -1)
            rounded = round_to_nearest(flat, Grid(values.bits.of(layer)))
            handle.write(variable, rounded.reshape(value.shape).astype(value.dtype))
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            handle.write(variable, value)


def _round(kernel: Kernel, grids: Sequence[Grid]) -> None:
    matrices = kernel.read()
    inputs = matrices.shape[1] - (kernel.bias is not None)
    for part, grid in zip(matrices[:, :inputs], grids, strict=True):
        part[:] = round_to_nearest(part, grid)
    kernel.write(matrices)
