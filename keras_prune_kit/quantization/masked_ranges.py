"""Where a model masks: scores that are pushed towards minus infinity have no range."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_prune_kit.quantization.activations import activation_of
from keras_prune_kit.quantization.call_graph import Call, Graph
from keras_prune_kit.quantization.int8_kernels import stages_of

# The least number that is taken for a mask, such as the -1e9 of Keras.
_LEAST = 1e4
# What makes something ordinary of masked scores; so do all activations.
_ENDS = {
    *("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Exp", "Logsumexp"),
    *("Max", "Argmax", "TopK", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("MaxPooling1D", "MaxPooling2D"),
}


def masking_calls(graph: Graph) -> set[int]:
    """Ids of the calls that mask something, or take what is masked.

    From the large number on to what makes probabilities or a maximum of the scores
    each call is one of them; not a layer with kernels, which would make nonsense of it.
    """
    found: set[int] = set()
    masked: set[int] = set()
    for call in graph.calls:
        takes_masked = any(id(tensor) in masked for tensor in call.inputs)
        if stages_of(call.operation) or not (takes_masked or _masks(call)):
            continue
        found.add(id(call))
        if not _ends(call.operation):
            masked.update(map(id, call.outputs))
    return found


def _masks(call: Call) -> bool:
    if type(call.operation) is keras.layers.Softmax and (
        len(call.inputs) > 1
        # A mask that comes with a tensor, as that of an Embedding does.
        or any(getattr(item, "_keras_mask", None) is not None for item in call.inputs)
    ):
        return True
    return any(map(_is_large, call.constants))


def _is_large(constant: Any) -> bool:
    try:
        values = np.asarray(constant, np.float64)
    except (TypeError, ValueError):  # It is no number.
        return False
    return bool(values.size) and float(np.abs(values).max()) >= _LEAST


def _ends(operation: Any) -> bool:
    return activation_of(operation) is not None or type(operation).__name__ in _ENDS
