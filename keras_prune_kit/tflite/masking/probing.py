"""Values of a file's inner tensors during a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.runner import allocate, open_interpreter
from keras_prune_kit.tflite.shrinking.packing import pack, unpack


class Probe:
    """An interpreter of a file, with chosen tensors as outputs.

    Args:
        content: A .tflite file with one signature.
        tensors: The indices of the tensors to read.
    """

    def __init__(self, content: bytes, tensors: Iterable[int]) -> None:
        self._names, _ = flatbuffer.signature_names(content)
        model = unpack(content)
        # A signature would name outputs that are none any more.
        model.signatureDefs = None
        # As outputs, since the interpreter reuses the memory of all others.
        model.subgraphs[0].outputs = np.array(sorted(set(tensors)), np.int32)
        self._interpreter = open_interpreter(pack(model), num_threads=1)
        self._inputs = self._interpreter.get_input_details()

    def run(self, sample: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
        """Run one sample and return the tensors by index.

        Args:
            sample: An array for each input, by its name in the signature.
        """
        arrays = [sample[self._names[detail["index"]]] for detail in self._inputs]
        for detail, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.resize_tensor_input(detail["index"], array.shape)
        allocate(self._interpreter)
        for detail, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.set_tensor(detail["index"], array)
        # A fused LSTM keeps its state from one run to the next.
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()
        return {
            detail["index"]: self._interpreter.get_tensor(detail["index"])
            for detail in self._interpreter.get_output_details()
        }
