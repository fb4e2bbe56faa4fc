"""Functions of tensors and of nests of them, by the same names for both worlds."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any


def ops_of(keras: Any) -> Any:
    """Return `keras.ops`, or TensorFlow's functions by these names for Keras 2.

    Args:
        keras: The Keras package of a model.
    """
    if keras.__name__ == "keras":
        return keras.ops
    tf = sys.modules["tensorflow"]
    return SimpleNamespace(
        cast=tf.cast,
        clip=tf.clip_by_value,
        convert_to_numpy=lambda tensor: tf.convert_to_tensor(tensor).numpy(),
        convert_to_tensor=tf.convert_to_tensor,
        copy=tf.identity,
        log=tf.math.log,
        log1p=tf.math.log1p,
        one_hot=tf.one_hot,
        reshape=tf.reshape,
        segment_max=tf.math.unsorted_segment_max,
        segment_sum=tf.math.unsorted_segment_sum,
        sigmoid=tf.sigmoid,
        softmax=tf.nn.softmax,
        take=tf.gather,
        where=tf.where,
        zeros_like=tf.zeros_like,
    )


def tree_of(keras: Any) -> Any:
    """Return the functions for nests, such as `flatten` and `map_structure`.

    Args:
        keras: The Keras package of a model.
    """
    return keras.tree if keras.__name__ == "keras" else sys.modules["tensorflow"].nest
