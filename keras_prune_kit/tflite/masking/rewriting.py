"""Replacement of the mask constants in a float file."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_prune_kit.tflite.masking.finding import BOUNDED, EXPONENTIALS, Masked, Site
from keras_prune_kit.tflite.shrinking.packing import Operator, opcode, pack, unpack


class Rewriter:
    """A float file in which mask constants are replaced.

    Args:
        content: A .tflite file.
    """

    def __init__(self, content: bytes) -> None:
        self._model = unpack(content)
        self._graph = self._model.subgraphs[0]
        self._values: dict[tuple[int, int], tuple[Site, np.ndarray]] = {}
        self._floors: dict[int, tuple[int, float]] = {}

    def bound(self, masked: Masked, floor: float, push: float) -> None:
        """Reduce the mask constants of some scores.

        If other scores share a constant, it gets the larger magnitude of the two.

        Args:
            masked: The scores, and the constants that mask them.
            floor: The new score of positions whose score is replaced.
            push: The new amount that is subtracted from scores.
        """
        for site in masked.sites:
            values = _bounded(site, masked.limit, floor, push)
            if site.key in self._values:
                _, other = self._values[site.key]
                # The larger one masks the scores of both.
                values = np.where(np.abs(other) > np.abs(values), other, values)
            self._values[site.key] = site, values
        is_pushed = any(site.is_added for site in masked.sites)
        if is_pushed and masked.operator is not None and masked.kind in EXPONENTIALS:
            self._floors[masked.operator] = masked.tensor, floor

    def changes(self) -> list[tuple[float, float]]:
        """Return the value of largest magnitude of each constant, before and after."""
        return [
            (float(site.values.flat[largest]), float(values.flat[largest]))
            for site, values in self._values.values()
            for largest in [np.abs(site.values).argmax()]
        ]

    def finish(self) -> tuple[bytes, dict[int, int]]:
        """Return the file, and the new index of clipped scores by their old one."""
        # Constants first: sites count operators as they were before any insertion.
        for (number, place), (_, values) in self._values.items():
            self._give(number, place, self._add_constant(values))
        became = {}
        # From the end, as an insertion shifts the operators after it.
        for number in sorted(self._floors, reverse=True):
            scores, floor = self._floors[number]
            became[scores] = self._cut(number, scores, floor)
        return pack(self._model), became

    def _cut(self, number: int, scores: int, floor: float) -> int:
        """Clip scores at the floor before an operator, and return the clipped tensor.

        All masked scores are then equal, as with minus infinity.
        """
        old = self._graph.tensors[scores]
        signature = getattr(old, "shapeSignature", None)
        cut = self._add_tensor(old.shape, shapeSignature=signature, buffer=0)
        operator = schema.OperatorT(
            opcodeIndex=opcode(self._model, Operator.MAXIMUM),
            inputs=np.array([scores, self._add_constant(np.float32(floor))], np.int32),
            outputs=np.array([cut], np.int32),
            builtinOptionsType=schema.BuiltinOptions.MaximumMinimumOptions,
            builtinOptions=schema.MaximumMinimumOptionsT(),
        )
        self._give(number, 0, cut)
        self._graph.operators.insert(number, operator)
        return cut

    def _give(self, number: int, place: int, tensor: int) -> None:
        operator = self._graph.operators[number]
        operator.inputs = np.array(operator.inputs)  # A read-only view.
        operator.inputs[place] = tensor

    def _add_constant(self, values: Any) -> int:
        values = np.asarray(values, "<f4")
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self._model.buffers.append(schema.BufferT(data))
        shape = np.array(values.shape, np.int32)
        return self._add_tensor(shape, buffer=len(self._model.buffers) - 1)

    def _add_tensor(self, shape: Any, **fields: Any) -> int:
        name = BOUNDED + str(len(self._graph.tensors)).encode()
        tensor = schema.TensorT(
            shape=shape,
            type=schema.TensorType.FLOAT32,
            name=name,
            # The default, False, stands for an unknown rank; the floor's shape is ().
            hasRank=True,
            **fields,
        )
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _bounded(site: Site, limit: float, floor: float, push: float) -> np.ndarray:
    """Return the reduced values of a constant; no magnitude increases."""
    values = site.values.astype(np.float64)
    pushed = values * site.factor
    if site.is_added:
        is_mask = np.abs(pushed) >= -limit
        target = np.sign(values) * push / abs(site.factor)
    else:
        is_mask = pushed < limit
        target = np.full_like(values, floor / site.factor)
    # A mask closer than the bound is left: pushing it further helps no range.
    is_mask &= np.abs(target) < np.abs(values)
    return np.where(is_mask, target, values)
