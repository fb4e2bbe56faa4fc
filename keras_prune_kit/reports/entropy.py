"""The gzipped size of a .tflite file relative to its entropy bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.printed import Printed, Table, shares
from keras_prune_kit.reports.tables import percent, shape_text

_ROOM = 19  # characters of a name that still fit into a table row of one line


@dataclass(frozen=True)
class TensorEntropy:
    """The ideal coded size of one weight or bias of a .tflite file.

    Attributes:
        name: Name of the tensor in the file; empty for most biases.
        dtype: Data type in the file, such as `"int8"`.
        shape: Shape in the file.
        size: Number of stored values.
        zeros: Number of stored values that represent 0.0.
        bound_bytes: Size of the values with ideal coding.
        deflated_bytes: Size of the values compressed separately by deflate, the method
            of gzip.
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
        """The average number of bits per value at the bound."""
        return 8 * self.bound_bytes / self.size if self.size else 0.0

    @property
    def sparsity(self) -> float:
        """The fraction of stored values that represent 0.0, 0 to 1."""
        return self.zeros / self.size if self.size else 0.0

    @property
    def ratio(self) -> float:
        """Deflated size divided by the bound: 1 at best, or if nothing is stored."""
        return self.deflated_bytes / self.bound_bytes if self.bound_bytes else 1.0


@dataclass(frozen=True)
class EntropyBound(Printed):
    """The ideal coded size of a .tflite file, and its size after gzip.

    Attributes:
        tensors: One record per weight or bias, the largest bound first.
        rest_bytes: Bytes of the file that are not weights or biases: operators,
            shapes, scales, names, metadata.
        rest_gzip_bytes: Size of these bytes, gzipped separately.
        file_bytes: Size of the file.
        gzip_bytes: Size of the file after gzip, level 9.

    Example:

    >>> kernel = TensorEntropy("m/dense/kernel", "int8", (8, 4), 32, 24, 10.0, 12)
    >>> bound = EntropyBound((kernel,), 500, 300, file_bytes=532, gzip_bytes=341)
    >>> bound.bound_bytes, bound.ratio
    (310.0, 1.1)
    """

    tensors: tuple[TensorEntropy, ...]
    rest_bytes: int
    rest_gzip_bytes: int
    file_bytes: int
    gzip_bytes: int

    @property
    def bound_bytes(self) -> float:
        """Size of the file with ideally coded weights and biases and a gzipped rest."""
        return sum(t.bound_bytes for t in self.tensors) + self.rest_gzip_bytes

    @property
    def ratio(self) -> float:
        """Gzipped size divided by the bound: 1.25 is 25 % more than necessary."""
        return self.gzip_bytes / self.bound_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data, ready for JSON."""
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

    def _blocks(self) -> tuple[Table]:
        rows = [
            (
                _label(tensor),
                f"{tensor.dtype} {shape_text(tensor.shape)}",
                percent(tensor.sparsity),
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
        title = f"Entropy bound: gzip takes {self.ratio:.2f} times the ideal"
        bounds = [t.bound_bytes for t in self.tensors]
        bars = {
            "zeros": [*(t.sparsity for t in self.tensors), None, None],
            "bound": shares([*bounds, self.rest_gzip_bytes, self.bound_bytes]),
        }
        return (Table(title, columns, rows, bars),)


def _sizes(bound: float, deflated: int, ratio: float) -> tuple[str, str, str]:
    return f"{bound:,.0f}", f"{deflated:,}", f"{ratio:.2f}"


def _label(tensor: TensorEntropy) -> str:
    """Return a tensor's name without that of the model, shortened to fit the table."""
    if not tensor.name:
        return "a bias" if len(tensor.shape) == 1 else "without a name"
    if tensor.name.isalnum() and len(tensor.shape) == 1:
        return f"bias {tensor.name}"  # Files of this package number their biases.
    # The first part is the name of the model, the same in all rows.
    name = tensor.name.partition("/")[2] or tensor.name
    return name if len(name) <= _ROOM else "…" + name[1 - _ROOM :]
