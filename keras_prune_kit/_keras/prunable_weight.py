"""A prunable weight of a model, and a layer that has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit._keras.quantized_weights import QuantizedWeight


@dataclass(frozen=True)
class PrunableWeight:
    """A prunable weight and its location in the model.

    Attributes:
        layer_path: Layer names from the outermost layer to the owner, joined by "/".
        attribute: The layer's attribute for the weight, such as `"kernel"`.
        variable: The variable.
        layers: The layers from the outermost one inside the model to the owner.
        kept_because: The reason why it is pruned only if a rule names it, for a
            depthwise kernel and a table of positions or segments; empty for all others.
        is_adapted: True for the base under a LoRA adapter, which stays frozen while the
            adapter trains; the layer computes with base + A @ B.
        axes: The order of axes that puts inputs before outputs.
        leading: The number of axes before the inputs.
        inputs: The number of input axes.
    """

    layer_path: str
    attribute: str
    variable: Any = field(repr=False)
    layers: tuple[Any, ...] = field(repr=False)
    kept_because: str
    is_adapted: bool
    axes: tuple[int, ...]
    leading: int
    inputs: int = 1

    @property
    def path(self) -> str:
        """The layer path and attribute, joined by "/"."""
        return f"{self.layer_path}/{self.attribute}"

    @property
    def layer(self) -> Any:
        """The layer that owns the weight."""
        return self.layers[-1]

    @property
    def is_trainable(self) -> bool:
        """True if it and all layers around it are trainable, or if its adapter is."""
        if self.is_adapted:
            # Whatever is around it: KerasHub freezes all of that and trains adapters.
            return bool(getattr(self.layer, f"lora_{self.attribute}_b").trainable)
        parts = (*self.layers, self.variable)
        return all(getattr(part, "trainable", True) for part in parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the variable."""
        return tuple(self.variable.shape)

    def canonical_shape(self) -> tuple[int, ...]:
        """Return the shape `(..., inputs, outputs)` that structures work on."""
        # A broadcast scalar takes no memory, whatever the shape.
        return self.to_canonical(np.broadcast_to(np.int8(0), self.shape)).shape

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """Rearrange an array of the variable's shape to `(..., inputs, outputs)`."""
        if array.ndim < 2:
            return array
        moved = array.transpose(self.axes)
        lead, rest = moved.shape[: self.leading], moved.shape[self.leading :]
        ins, outs = rest[: self.inputs], rest[self.inputs :]
        return moved.reshape(*lead, _product(ins), _product(outs))

    def from_canonical(self, array: np.ndarray) -> np.ndarray:
        """Apply the inverse of `to_canonical`."""
        if len(self.shape) < 2:
            return array
        moved_shape = [self.shape[axis] for axis in self.axes]
        # `argsort` inverts a permutation.
        return array.reshape(moved_shape).transpose(np.argsort(self.axes))


@dataclass(frozen=True)
class Unprunable:
    """A layer that owns weights that cannot be pruned, and the reason.

    Attributes:
        layer_path: Layer names from the outermost layer to this one, joined by "/".
        reason: The reason.
        quantized: The weight if it is in integers and can be counted, else `None`.
    """

    layer_path: str
    reason: str
    quantized: QuantizedWeight | None = None


def _product(sizes: tuple[int, ...]) -> int:
    return int(np.prod(sizes, dtype=np.int64))
