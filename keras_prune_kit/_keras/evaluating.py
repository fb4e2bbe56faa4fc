"""Evaluation of functions and of single calls for arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit._keras.graphs import Call


def applied_to(function: Any, array: np.ndarray) -> np.ndarray:
    """Return the result of a function of a tensor for an array."""
    return np.asarray(function(sys.modules["tensorflow"].constant(array)))


def computed(call: Call, operation: Any, arrays: Sequence[Any]) -> np.ndarray:
    """Return the output of an operation for arrays in place of a call's inputs.

    Args:
        call: The call, which has the other arguments.
        operation: Its layer or operation, or another one of the same kind.
        arrays: One array, with a batch, per input tensor that is not a mask. Nothing is
            masked.
    """
    tf = sys.modules["tensorflow"]
    values, masks = iter(arrays), call.masks
    tensors = [
        None
        if number in masks
        else tf.constant(next(values), getattr(tensor.dtype, "name", tensor.dtype))
        for number, tensor in enumerate(call.inputs)
    ]
    args, kwargs = call.arguments(tensors)
    return np.asarray(operation(*args, **kwargs), np.float64)
