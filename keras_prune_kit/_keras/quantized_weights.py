"""Weights that Keras' own `model.quantize` has turned into integers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Keras stores kernels with outputs first in the modes that calibrate.
_CALIBRATED = ("gptq", "awq")
_MODES = ("int8", "int4", *_CALIBRATED)


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight in integers, of a layer after `model.quantize`.

    Attributes:
        path: The layer path and attribute, joined by "/".
        attribute: The layer's attribute for the weight, such as `"kernel"`.
        layer: The layer.
    """

    path: str
    attribute: str
    layer: Any = field(repr=False)

    def levels(self) -> np.ndarray:
        """Return the integers less the one that stands for 0.0, in the weight's shape.

        Where a group of weights has an offset, that one is not 0.
        """
        # The property unpacks what is stored as two weights a byte.
        stored = _array(getattr(self.layer, self.attribute)).astype(np.int16)
        zero = getattr(self.layer, f"{self.attribute}_zero", None)
        if zero is None:
            return stored
        groups = _array(self.layer.g_idx).astype(int)
        zeros = _array(zero).astype(np.int16)
        if self.layer.quantization_mode in _CALIBRATED:
            return (stored - zeros[:, groups]).T.reshape(self._shape())
        if self.attribute == "embeddings":
            return stored - zeros[:, groups]
        return stored - zeros[groups].reshape(stored.shape)

    def _shape(self) -> tuple[int, ...]:
        """Return the shape of a calibrated kernel, as it was before."""
        shape = getattr(self.layer, "original_kernel_shape", None)
        return tuple(shape or self.layer.kernel_shape)


def quantized_weight(path: str, layer: Any, attribute: str) -> QuantizedWeight | None:
    """Return the record of a weight if it is in integers, else `None`.

    Args:
        path: The path of the layer.
        layer: A built layer of either world.
        attribute: Its attribute for the weight.
    """
    mode = getattr(layer, "quantization_mode", None)
    # LoRA adds a float product to the integers.
    if mode not in _MODES or layer.lora_enabled:
        return None
    return QuantizedWeight(f"{path}/{attribute}", attribute, layer)


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(sys.modules["keras"].ops.convert_to_numpy(tensor))
