"""The measurement of one model or file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit.reports.sparsity import SparsityReport

_BINS = 60


@dataclass(frozen=True)
class Histogram:
    """A histogram of nonzero weights.

    Attributes:
        edges: Edges of the bins, one more than there are bins.
        counts: Number of weights in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Histogram:
        """Return the histogram of the finite, nonzero values."""
        # `np.histogram` refuses infinity, and a bar of zeros would dwarf all others.
        values = values[np.isfinite(values) & (values != 0)]
        counts, edges = np.histogram(values, bins=_BINS)
        return cls(tuple(edges.tolist()), tuple(counts.tolist()))


@dataclass(frozen=True)
class Measurement:
    """Size, sparsity and metrics of one model, measured on its file.

    Attributes:
        name: Name of the model, such as `"pruned + int8"`.
        file: Extension of the measured file. A Keras model is measured as `".h5"`, its
            weights as `save_weights` would write them.
        scores: Metrics on the data, by name; the first one decides.
        file_bytes: Size of the file.
        gzip_bytes: Size of the file after gzip, level 9.
        sparse_gzip_bytes: Size of the file after gzip if each weight were stored as a
            bit mask and its nonzero values.
        parameters: Number of values in all weights, biases included.
        nonzero_parameters: Number of these that are not zero.
        weights: The zeros of each weight.
        histogram: Histogram of the nonzero weights.
        bound_bytes: Ideal coded size of a .tflite, as in `entropy_bound`; `None` for
            other files.
        latency_ms: Median latency of one sample in milliseconds; `None` unless it was
            measured on a .tflite.
        macs: Multiply-accumulate operations for one sample; `None` for a model whose
            calls are not known.
    """

    name: str
    file: str
    scores: Mapping[str, float]
    file_bytes: int
    gzip_bytes: int
    sparse_gzip_bytes: int
    parameters: int
    nonzero_parameters: int
    weights: SparsityReport = field(repr=False)
    histogram: Histogram = field(repr=False)
    bound_bytes: float | None = None
    latency_ms: float | None = None
    macs: int | None = None

    @property
    def metric(self) -> str:
        """The name of the metric that decides."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """The value of the metric that decides."""
        return self.scores[self.metric]

    @property
    def sparsity(self) -> float:
        """The fraction of zeros in the weights, 0 to 1."""
        return self.weights.sparsity

    @property
    def bound_ratio(self) -> float | None:
        """Gzipped size divided by the bound, 1 at best; `None` without a bound."""
        return None if self.bound_bytes is None else self.gzip_bytes / self.bound_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as plain data, ready for JSON."""
        return {
            "name": self.name,
            "file": self.file,
            "scores": dict(self.scores),
            "file_bytes": self.file_bytes,
            "gzip_bytes": self.gzip_bytes,
            "sparse_gzip_bytes": self.sparse_gzip_bytes,
            "bound_bytes": None
            if self.bound_bytes is None
            else round(self.bound_bytes),
            "bound_ratio": self.bound_ratio,
            "sparsity": self.sparsity,
            "parameters": self.parameters,
            "nonzero_parameters": self.nonzero_parameters,
            "latency_ms": self.latency_ms,
            "macs": self.macs,
        }


def check_measurement(name: str, value: object) -> None:
    """Raise a `TypeError` unless the value is a `Measurement`."""
    if not isinstance(value, Measurement):
        raise TypeError(
            f"{name} must be a Measurement, such as one of a Comparison. "
            f"Received: {value!r}."
        )
