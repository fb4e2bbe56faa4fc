"""New axes of slices, such as `x[:, None]`, spelled out in a SavedModel.

The converter has no operator for a slice that adds axes to a tensor of which two sizes
or more are unknown, as batch and length of a text are. `tf.expand_dims` it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "shrink_axis_mask")


def spell_out_new_axes(folder: str) -> None:
    """Replace each slice of a SavedModel that adds axes by a slice and `expand_dims`.

    Args:
        folder: The SavedModel. It is written anew if it has such a slice.
    """
    path = Path(folder, "saved_model.pb")
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    is_changed = False
    for graph in saved.meta_graphs:
        for function in graph.graph_def.library.function:
            for found in _slices(function):
                function.node_def.extend(found.spelled_out())
                is_changed = True
    if is_changed:
        path.write_bytes(saved.SerializeToString())


def _slices(function: Any) -> list[_Slice]:
    """Return the slices of a function that add axes, if their bounds are constants."""
    constants = {
        f"{node.name}:output:0": tf.make_ndarray(node.attr["value"].tensor)
        for node in function.node_def
        if node.op == "Const" and node.attr["dtype"].type == tf.int32.as_datatype_enum
    }
    return [
        _Slice(node, *(constants[name] for name in node.input[1:]))
        for node in function.node_def
        if node.op == "StridedSlice" and _mask(node, "new_axis_mask")
        if constants.keys() >= set(node.input[1:])
    ]


@dataclass(frozen=True)
class _Slice:
    """A slice that adds axes.

    Attributes:
        node: Its node.
        begin: Where it begins, with an entry for each axis and each new axis.
        end: Where it ends.
        strides: Its steps.
    """

    node: Any
    begin: np.ndarray
    end: np.ndarray
    strides: np.ndarray

    def spelled_out(self) -> list[Any]:
        """Make the node the last of those in its place, and return the others."""
        node, added = self.node, []
        source, dtype = node.input[0], node.attr["T"].type
        if not self._takes_all():
            added += self._without_new_axes()
            source = _output(added[-1])
        axes = self._axes()
        for number, axis in enumerate(axes, 1):
            place = _constant(f"{node.name}/axis_{number}", axis)
            added.append(place)
            is_last = number == len(axes)
            expand = tf.compat.v1.NodeDef(
                name=node.name if is_last else f"{node.name}/expand_{number}",
                op="ExpandDims",
                input=[source, _output(place)],
            )
            expand.attr["T"].type = dtype
            expand.attr["Tdim"].type = tf.int32.as_datatype_enum
            added.append(expand)
            source = _output(expand)
        node.CopyFrom(added.pop())
        return added

    def _axes(self) -> list[int]:
        """Return the new axes, in the order in which they can be added one by one.

        Those before an ellipsis are counted from the front, others from the end.
        """
        entries = range(len(self.begin))
        rest = next((i for i in entries if self._has("ellipsis_mask", i)), len(entries))
        left = [i for i in entries if not self._is_dropped(i)]
        new = [i for i in left if self._has("new_axis_mask", i)]
        front = [left.index(i) for i in new if i < rest]
        back = [left.index(i) - len(left) for i in reversed(new) if i > rest]
        return front + back

    def _is_dropped(self, entry: int) -> bool:
        """Return True if an axis is gone after the slice, as with `x[:, 0]`."""
        is_new = self._has("new_axis_mask", entry)
        return self._has("shrink_axis_mask", entry) and not is_new

    def _kept(self) -> list[int]:
        """Return the entries of axes that the sliced tensor has."""
        return [i for i in range(len(self.begin)) if not self._has("new_axis_mask", i)]

    def _takes_all(self) -> bool:
        """Return True if it adds axes and slices nothing."""
        return all(
            self._has("ellipsis_mask", i)
            or (
                self._has("begin_mask", i)
                and self._has("end_mask", i)
                and self.strides[i] == 1
                and not self._is_dropped(i)
            )
            for i in self._kept()
        )

    def _without_new_axes(self) -> list[Any]:
        """Return nodes that slice and add no axes."""
        name, kept = self.node.name, self._kept()
        bounds = [
            _constant(f"{name}/{part}", getattr(self, part)[kept])
            for part in ("begin", "end", "strides")
        ]
        cut = tf.compat.v1.NodeDef()
        cut.CopyFrom(self.node)
        cut.name = f"{name}/slice"
        cut.input[1:] = [_output(bound) for bound in bounds]
        cut.attr["new_axis_mask"].i = 0
        cut.attr.pop("_output_shapes", None)  # Of the slice with its new axes.
        for mask in _MASKS:
            bits = [self._has(mask, i) for i in kept]
            cut.attr[mask].i = sum(bit << place for place, bit in enumerate(bits))
        return [*bounds, cut]

    def _has(self, mask: str, entry: int) -> bool:
        return bool(_mask(self.node, mask) >> entry & 1)


def _mask(node: Any, name: str) -> int:
    # A look at an attribute that is left out, being 0, would add an invalid one.
    return node.attr[name].i if name in node.attr else 0


def _constant(name: str, values: Any) -> Any:
    tensor = tf.make_tensor_proto(np.asarray(values, np.int32))
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _output(node: Any) -> str:
    return f"{node.name}:output:0"
