"""Computations on tensors that are the same in both worlds."""

from __future__ import annotations

from typing import Any

import numpy as np


def cluster_means(ops: Any, index: Any, counts: np.ndarray, value: Any) -> Any:
    """Return a tensor whose values are replaced by the means of their clusters.

    Args:
        ops: `keras.ops`, or functions of these names.
        index: Tensor of the cluster of each value.
        counts: The number of members per cluster; a count of 0 makes its mean zero.
        value: Tensor of the values.
    """
    index = ops.cast(ops.reshape(index, [-1]), "int32")
    dtype = "float64" if "float64" in str(value.dtype) else "float32"
    values = ops.cast(ops.reshape(value, [-1]), dtype)
    # Differences from one member are summed, not the values: sums of many equal values
    # have an error of constant sign, so that weights would drift from step to step.
    member = ops.segment_max(values, index, counts.size)
    sums = ops.segment_sum(values - ops.take(member, index), index, counts.size)
    means = member + sums / ops.convert_to_tensor(np.maximum(counts, 1).astype(dtype))
    has_members = ops.convert_to_tensor(counts > 0)
    means = ops.where(has_members, means, ops.zeros_like(means))
    return ops.cast(ops.reshape(ops.take(means, index), value.shape), value.dtype)


def view(tensor: Any) -> np.ndarray:
    """Return a read-only view of a TensorFlow tensor, or a copy for bfloat16.

    TensorFlow copies on write, so the view keeps its values; copying a large model
    takes as long as ranking it.
    """
    if tensor.dtype.name == "bfloat16":
        return tensor.numpy()
    view = np.asarray(memoryview(tensor))
    view.flags.writeable = False
    return view
