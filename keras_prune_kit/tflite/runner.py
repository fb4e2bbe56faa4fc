"""The LiteRT interpreter on batches of any size, also for files with a fixed batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_prune_kit._tools.chatter import without_chatter
from keras_prune_kit._tools.checks import is_whole

_MOST_THREADS = 1024


def check_threads(num_threads: object) -> None:
    """Raise a ValueError unless a number of threads is a whole number in range."""
    if not is_whole(num_threads) or not 1 <= num_threads <= _MOST_THREADS:
        raise ValueError(
            f"num_threads must be a whole number from 1 to {_MOST_THREADS}. Received: "
            f"num_threads={num_threads!r}."
        )


def open_interpreter(content: bytes, num_threads: int) -> Interpreter:
    """Return an interpreter of a .tflite file in memory."""
    return Interpreter(model_content=content, num_threads=num_threads)


def allocate(interpreter: Interpreter) -> None:
    """Allocate the tensors; the first time in a process, LiteRT names its delegate."""
    with without_chatter():
        interpreter.allocate_tensors()


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a .tflite file.

    Attributes:
        name: The name in the signature, or of the tensor if there is no signature.
        shape: The shape, batch first; `None` for sizes that are not fixed.
        dtype: The dtype in the file, such as `"int8"`.
        scale: The scale of a quantized tensor; 0 if it is not quantized.
        zero_point: The quantized value of 0.0.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float
    zero_point: int

    @classmethod
    def of(cls, detail: Mapping[str, Any], name: str | None = None) -> TensorSpec:
        """Return the spec of an interpreter's tensor details."""
        scale, zero_point = detail["quantization"]
        sizes = detail["shape_signature"]
        if not len(sizes):  # Old files have no shape signature.
            sizes = detail["shape"]
        _check_sizes(detail["name"], sizes, detail["shape"])
        return cls(
            name=detail["name"] if name is None else name,
            shape=tuple(None if size < 0 else int(size) for size in sizes),
            dtype=np.dtype(detail["dtype"]).name,
            scale=float(scale),
            zero_point=int(zero_point),
        )

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}({sizes})"

    @property
    def has_open_sizes(self) -> bool:
        """True if sizes besides the batch are not fixed, such as those of an image."""
        return None in self.shape[1:]

    def checked(self, array: np.ndarray) -> np.ndarray:
        """Return the array; raise a ValueError if it is no batch for this input."""
        fits = array.ndim == len(self.shape) and all(
            size in (None, given)
            for size, given in zip(self.shape[1:], array.shape[1:], strict=True)
        )
        if not fits:
            sizes = ["any" if size is None else str(size) for size in self.shape[1:]]
            raise ValueError(
                f"x for input '{self.name}' must have shape "
                f"({', '.join(['n', *sizes])}). Received: {array.shape}."
            )
        takes_integers = not self.scale and np.dtype(self.dtype).kind in "iu"
        if takes_integers and not np.array_equal(array, np.rint(array)):
            raise ValueError(
                f"x for input '{self.name}' must be whole numbers ({self.dtype}). "
                "Received: values with a fraction."
            )
        return array

    def encode(self, array: np.ndarray) -> np.ndarray:
        """Quantize real values; return an array of the file's dtype unchanged."""
        if not self.scale or array.dtype == self.dtype:
            return np.ascontiguousarray(array, self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(array / self.scale) + self.zero_point
        return steps.clip(limits.min, limits.max).astype(self.dtype)

    def decode(self, array: np.ndarray) -> np.ndarray:
        """Dequantize an output; return one that is not quantized unchanged."""
        if not self.scale:
            return array
        return (array.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def _check_sizes(name: str, sizes: Sequence[int], shape: Sequence[int]) -> None:
    """Raise a ValueError if a tensor's shape contradicts its shape signature."""
    if len(sizes) != len(shape) or any(
        size not in (-1, given) for size, given in zip(sizes, shape, strict=True)
    ):
        raise ValueError(
            f"the sizes of '{name}' contradict each other: {list(sizes)} and "
            f"{list(shape)}"
        )


class Runner:
    """An interpreter that accepts batches of any size.

    If the batch size of the file is not fixed, the inputs are resized to the given
    batch, which costs time only when the size changes. If it is fixed, or the resized
    model fails, batches are split and the last part is padded.

    Args:
        content: A .tflite file.
        num_threads: Threads of the interpreter.
    """

    def __init__(self, content: bytes, num_threads: int) -> None:
        self._content = content
        self._num_threads = num_threads
        self._open()
        self._can_resize = all(spec.shape[:1] == (None,) for spec in self._inputs)

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the dequantized outputs of one batch.

        Args:
            arrays: One array `(n, ...)` per input, in the order of the file.
        """
        if self._can_resize:
            try:
                return self._run_whole(arrays)
            except (RuntimeError, ValueError):
                # Some files declare an open batch size but fail when resized.
                self._can_resize = False
                self._open()
        return self._run_pieces(arrays)

    def _open(self) -> None:
        self.interpreter = open_interpreter(self._content, self._num_threads)
        self._input_details = self.interpreter.get_input_details()
        self._output_details = self.interpreter.get_output_details()
        self._inputs = [TensorSpec.of(item) for item in self._input_details]
        self._outputs = [TensorSpec.of(item) for item in self._output_details]
        self._shapes: list[tuple[int, ...]] = []

    def _run_whole(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        self._resize([array.shape for array in arrays])
        items = zip(self._input_details, self._inputs, arrays, strict=True)
        for detail, spec, array in items:
            self.interpreter.set_tensor(detail["index"], spec.encode(array))
        # A fused LSTM keeps its state from one run to the next.
        self.interpreter.reset_all_variables()
        self.interpreter.invoke()
        outputs = [
            spec.decode(self.interpreter.get_tensor(detail["index"]))
            for detail, spec in zip(self._output_details, self._outputs, strict=True)
        ]
        if any(output.shape[:1] != (len(arrays[0]),) for output in outputs):
            raise ValueError("Every output must have one row per sample.")
        return outputs

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        for detail, shape in zip(self._input_details, shapes, strict=True):
            # Details have the shapes of the file, which count only before any resize.
            if tuple(detail["shape"]) != shape or self._shapes:
                self.interpreter.resize_tensor_input(detail["index"], shape)
        allocate(self.interpreter)
        self._shapes = shapes

    def _run_pieces(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        batch = self._inputs[0].shape[0] or 1
        pieces = []
        for start in range(0, len(arrays[0]), batch):
            cut = [array[start : start + batch] for array in arrays]
            count = len(cut[0])
            # Repeats the samples; the method of an array would fill up with zeros.
            filled = [np.resize(piece, (batch, *piece.shape[1:])) for piece in cut]
            pieces.append([output[:count] for output in self._run_whole(filled)])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
