"""Running the interpreter over batches, whatever batch a file was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_prune_kit._tools.checks import is_whole

_MOST_THREADS = 1024


def check_threads(num_threads: object) -> None:
    """Raises a `ValueError` for a number of threads that no machine has."""
    if not is_whole(num_threads) or not 1 <= num_threads <= _MOST_THREADS:
        raise ValueError(
            f"num_threads is a whole number of 1 to {_MOST_THREADS}. Received: "
            f"num_threads={num_threads!r}."
        )


def open_interpreter(content: bytes, num_threads: int) -> Interpreter:
    """An interpreter on a .tflite file in memory."""
    return Interpreter(model_content=content, num_threads=num_threads)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a .tflite file.

    Attributes:
        name: Its name.
        shape: With the batch first; `None` where any size will do.
        dtype: The type in the file, such as `"int8"`.
        scale: What one step of a quantized tensor is worth; 0 if it is not
            quantized.
        zero_point: The step that stands for 0.0.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float
    zero_point: int

    @classmethod
    def of(cls, detail: Mapping[str, Any], name: str | None = None) -> TensorSpec:
        """From what the interpreter tells, and the name in the signature."""
        scale, zero_point = detail["quantization"]
        sizes = detail["shape_signature"]
        if not len(sizes):  # Old files have no signature of shapes.
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
        """Whether other sizes than the batch are open, such as those of an image."""
        return None in self.shape[1:]

    def checked(self, array: np.ndarray) -> np.ndarray:
        """The array, if it is a batch of this input; a `ValueError` if not."""
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
                f"x for input '{self.name}' takes whole numbers ({self.dtype}). "
                "Received values with a fraction."
            )
        return array

    def encode(self, array: np.ndarray) -> np.ndarray:
        """Real values as the file wants them; what has its type is taken as it is."""
        if not self.scale or array.dtype == self.dtype:
            return np.ascontiguousarray(array, self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(array / self.scale) + self.zero_point
        return steps.clip(limits.min, limits.max).astype(self.dtype)

    def decode(self, array: np.ndarray) -> np.ndarray:
        """What the file gives, as floats."""
        if not self.scale:
            return array
        return (array.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def _check_sizes(name: str, sizes: Sequence[int], shape: Sequence[int]) -> None:
    """Raises a `ValueError` unless a tensor starts with the sizes that are fixed."""
    if len(sizes) != len(shape) or any(
        size not in (-1, given) for size, given in zip(sizes, shape, strict=True)
    ):
        raise ValueError(
            f"the sizes of '{name}' contradict each other: {list(sizes)} and "
            f"{list(shape)}"
        )


class Runner:
    """An interpreter that takes batches of any length.

    Where the batch of the file is open it is resized to the batch given; that costs
    something only when the length changes. Where it is fixed, or a resized model
    does not work, batches are cut into pieces and the last one is padded.

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
        """The outputs for one batch.

        Args:
            arrays: One array `(n, ...)` an input, in the order of the file.
        """
        if self._can_resize:
            try:
                return self._run_whole(arrays)
            except (RuntimeError, ValueError):
                # Such a file says that it can be resized, and cannot.
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
        # A fused LSTM would start from where the last sample left it.
        self.interpreter.reset_all_variables()
        self.interpreter.invoke()
        outputs = [
            spec.decode(self.interpreter.get_tensor(detail["index"]))
            for detail, spec in zip(self._output_details, self._outputs, strict=True)
        ]
        if any(output.shape[:1] != (len(arrays[0]),) for output in outputs):
            raise ValueError("An output does not have one row a sample.")
        return outputs

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        for detail, shape in zip(self._input_details, shapes, strict=True):
            if tuple(detail["shape"]) != shape or self._shapes:
                self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()
        self._shapes = shapes

    def _run_pieces(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        batch = self._inputs[0].shape[0] or 1
        pieces = []
        for start in range(0, len(arrays[0]), batch):
            cut = [array[start : start + batch] for array in arrays]
            count = len(cut[0])
            filled = [np.resize(piece, (batch, *piece.shape[1:])) for piece in cut]
            pieces.append([output[:count] for output in self._run_whole(filled)])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
