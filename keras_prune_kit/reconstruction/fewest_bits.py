"""The fewest bits of each layer with which a model still gives its outputs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
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
from keras_prune_kit.reconstruction.cheapest_bits import ScoredLayer, cheapest_bits
from keras_prune_kit.reconstruction.divergence import divergence, outputs_in_batches
from keras_prune_kit.reconstruction.grids import ModelGrids, grids_in_model
from keras_prune_kit.reconstruction.rounding import Grid, round_to_nearest

# Those of 8 bits are taken for exact, which saves a pass.
_MOST_BITS = 8
_FEWER = (4, 3, 2)
_SAMPLES = 256


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


def _scored_layers(model: Any, batches: Batches) -> list[ScoredLayer]:
    """Return the layers of a model with kernels; afterwards it is as it was."""
    kernels: dict[int, list[Kernel]] = {}
    for item in find_kernels(model):
        if isinstance(item, Kernel):
            kernels.setdefault(id(item.weight.layer), []).append(item)
    grids = {bits: grids_in_model(model, bits, True) for bits in _FEWER}
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
