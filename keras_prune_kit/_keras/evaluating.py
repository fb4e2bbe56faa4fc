"""Evaluation of functions and of single calls for arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit._keras.graphs import Call
from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.operations import ops_of


def to_numpy(model: Any, tensor: Any) -> np.ndarray:
    """Return a tensor of a model's world as an array."""
    return ops_of(world(model)).convert_to_numpy(tensor)


def applied_to(function: Any, array: np.ndarray) -> np.ndarray:
    """Return the result of a function of a tensor for an array."""
    ops = _ops_for(getattr(function, "__module__", ""))
    return ops.convert_to_numpy(function(ops.convert_to_tensor(array)))


def computed(call: Call, operation: Any, arrays: Sequence[Any]) -> np.ndarray:
    """Return the output of an operation for arrays in place of a call's inputs.

    Args:
        call: The call, which has the other arguments.
        operation: Its layer or operation, or another one of the same kind.
        arrays: One array, with a batch, per input tensor that is not a mask. Nothing is
            masked.
    """
    ops = _ops_for(*(base.__module__ for base in type(operation).__mro__))
    values, masks = iter(arrays), call.masks
    tensors = [
        None
        if number in masks
        else ops.convert_to_tensor(
            next(values), getattr(tensor.dtype, "name", tensor.dtype)
        )
        for number, tensor in enumerate(call.inputs)
    ]
    args, kwargs = call.arguments(tensors)
    output = ops.convert_to_numpy(operation(*args, **kwargs))
    return np.asarray(output, np.float64)


def _ops_for(*modules: str) -> Any:
    """Return the functions of the world that one of the modules is of."""
    is_keras_2 = any(module.partition(".")[0] == "tf_keras" for module in modules)
    return ops_of(sys.modules["tf_keras" if is_keras_2 else "keras"])
