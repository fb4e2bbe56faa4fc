"""Detection of masked scores, which have no usable quantization range.

A mask adds a number such as -1e9: one scale cannot cover it and the scores.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_prune_kit._keras import Call, Graph
from keras_prune_kit.quantization.activations import activation_of
from keras_prune_kit.quantization.int8_kernels import stages_of

# Constants of at least this magnitude count as a mask, such as the -1e9 of Keras.
_LEAST = 1e4
# Operations whose output is in an ordinary range again; so is that of any activation.
_ENDS = {
    *("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Exp", "Logsumexp"),
    *("Max", "Argmax", "TopK", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("MaxPooling1D", "MaxPooling2D"),
}


def masking_calls(graph: Graph) -> set[int]:
    """Return the ids of the calls that mask scores or compute with masked scores.

    They run from the call with the large constant to the one that turns the scores
    into probabilities or a maximum. A layer with kernels is never one of them: it
    cannot compute anything meaningful from masked scores.
    """
    found: set[int] = set()
    masked: set[int] = set()
    for call in graph.calls:
        takes_masked = any(id(tensor) in masked for tensor in call.inputs)
        if stages_of(call.operation) or not (takes_masked or _masks(call)):
            continue
        found.add(id(call))
        if not _ends(call.operation):
            # Calls are in topological order, so one pass finds all that follows.
            masked.update(map(id, call.outputs))
    return found


def _masks(call: Call) -> bool:
    if type(call.operation) is keras.layers.Softmax and (
        len(call.inputs) > 1
        # Keras passes the mask of an Embedding along with the tensor.
        or any(getattr(item, "_keras_mask", None) is not None for item in call.inputs)
    ):
        return True
    return any(map(_is_large, call.constants))


def _is_large(constant: Any) -> bool:
    try:
        values = np.asarray(constant, np.float64)
    except (TypeError, ValueError):  # Not a number.
        return False
    return bool(values.size) and float(np.abs(values).max()) >= _LEAST


def _ends(operation: Any) -> bool:
    return activation_of(operation) is not None or type(operation).__name__ in _ENDS
