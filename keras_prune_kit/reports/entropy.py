"""How far a file is from the smallest that its weights allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.tables import percent, render_table, shape_text

_ROOM = 19  # characters for a name, so that a row of the table is one line


@dataclass(frozen=True)
class TensorEntropy:
    """The ideal coded size of one weight or bias of a .tflite file.

    Attributes:
        name: What the file calls it, empty for most biases.
        dtype: Its type in the file, such as `"int8"`.
        shape: Its shape in the file.
        size: How many values the file stores for it.
        zeros: How many of these stand for 0.0.
        bound_bytes: What an ideal coder needs for them.
        deflated_bytes: What deflate, gzip's method, makes of them alone.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    zeros: int
    bound_bytes: float
    deflated_bytes: int

    @property
    def bits_per_value(self) -> float:
        """Bits a value at the bound."""
        return 8 * self.bound_bytes / self.size if self.size else 0.0

    @property
    def ratio(self) -> float:
        """Deflated bytes over the bound, 1 at best; 1 if nothing is stored."""
        return self.deflated_bytes / self.bound_bytes if self.bound_bytes else 1.0


@dataclass(frozen=True)
class EntropyBound:
    """The ideal coded size of a .tflite file beside what gzip makes of it.

    Attributes:
        tensors: One record a weight or bias, the largest bound first.
        rest_bytes: Bytes of the file that are not weights or biases: operators,
            shapes, scales, names, metadata.
        rest_gzip_bytes: The same, gzipped alone.
        file_bytes: Size of the file.
        gzip_bytes: Size of the file after gzip, level 9.
    """

    tensors: tuple[TensorEntropy, ...]
    rest_bytes: int
    rest_gzip_bytes: int
    file_bytes: int
    gzip_bytes: int

    @property
    def bound_bytes(self) -> float:
        """Weights and biases coded ideally, and the rest gzipped as it is."""
        return sum(t.bound_bytes for t in self.tensors) + self.rest_gzip_bytes

    @property
    def ratio(self) -> float:
        """Gzipped bytes over the bound: 1.25 means a quarter more than need be."""
        return self.gzip_bytes / self.bound_bytes

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data, ready for JSON."""
        return {
            "bound_bytes": round(self.bound_bytes),
            "gzip_bytes": self.gzip_bytes,
            "ratio": self.ratio,
            "file_bytes": self.file_bytes,
            "rest_bytes": self.rest_bytes,
            "rest_gzip_bytes": self.rest_gzip_bytes,
            "tensors": [
                {
                    "name": tensor.name,
                    "dtype": tensor.dtype,
                    "shape": list(tensor.shape),
                    "zeros": tensor.zeros,
                    "bits_per_value": tensor.bits_per_value,
                    "bound_bytes": round(tensor.bound_bytes),
                    "deflated_bytes": tensor.deflated_bytes,
                }
                for tensor in self.tensors
            ],
        }

    def __str__(self) -> str:
        rows = [
            (
                _label(tensor),
                f"{tensor.dtype} {shape_text(tensor.shape)}",
                percent(tensor.zeros / tensor.size if tensor.size else 0.0),
                f"{tensor.bits_per_value:.2f}",
                *_sizes(tensor.bound_bytes, tensor.deflated_bytes, tensor.ratio),
            )
            for tensor in self.tensors
        ]
        rest = _sizes(self.rest_gzip_bytes, self.rest_gzip_bytes, 1.0)
        rows.append(("not weights", f"{self.rest_bytes:,} bytes", "", "", *rest))
        whole = _sizes(self.bound_bytes, self.gzip_bytes, self.ratio)
        rows.append(("all", f"{self.file_bytes:,} bytes", "", "", *whole))
        columns = ("tensor", "values", "zeros", "bits", "bound", "deflated", "ratio")
        return render_table(
            f"Entropy bound: gzip takes {self.ratio:.2f} times the ideal", columns, rows
        )


def _sizes(bound: float, deflated: int, ratio: float) -> tuple[str, str, str]:
    return f"{bound:,.0f}", f"{deflated:,}", f"{ratio:.2f}"


def _label(tensor: TensorEntropy) -> str:
    """A tensor's name without the model's own, and not longer than there is room."""
    if not tensor.name:
        return "a bias" if len(tensor.shape) == 1 else "without a name"
    name = tensor.name.partition("/")[2] or tensor.name
    return name if len(name) <= _ROOM else "…" + name[1 - _ROOM :]
