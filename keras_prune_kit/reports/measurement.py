"""One model or file, measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit.reports.sparsity import SparsityReport

_BINS = 60


@dataclass(frozen=True)
class Histogram:
    """How the weights that are not zero are spread.

    Attributes:
        edges: Edges of the bins, one more than there are bins.
        counts: How many weights each bin holds.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Histogram:
        """Of the values that are finite and not zero."""
        values = values[np.isfinite(values) & (values != 0)]
        counts, edges = np.histogram(values, bins=_BINS)
        return cls(tuple(edges.tolist()), tuple(counts.tolist()))


@dataclass(frozen=True)
class Measurement:
    """How big and how good one model is, measured on the file that holds it.

    Attributes:
        name: What it is, such as `"pruned + int8"`.
        file: Which file was measured: `".h5"` is the weights of a model in memory, as
            `save_weights` would write them.
        scores: Its metrics on the data, by name; the first one decides.
        file_bytes: Size of the file.
        gzip_bytes: Size of the file after gzip, level 9.
        sparse_gzip_bytes: Size of the file after gzip if each weight were stored as a
            bit mask of what is not zero, and those values.
        parameters: How many values the model has, biases among them.
        nonzero_parameters: How many of them are not zero.
        weights: The zeros of each weight.
        histogram: How the weights that are not zero are spread.
        bound_bytes: What ideal coding of each weight would make of a .tflite, as in
            `entropy_bound`; `None` of other files.
        latency_ms: Median milliseconds of one sample, of a .tflite alone.
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

    @property
    def metric(self) -> str:
        """The name of the score that decides."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """The score that decides."""
        return self.scores[self.metric]

    @property
    def sparsity(self) -> float:
        """The fraction of zeros in the weights, 0 to 1."""
        return self.weights.sparsity

    @property
    def bound_ratio(self) -> float | None:
        """Gzipped bytes over the bound, 1 at best."""
        return None if self.bound_bytes is None else self.gzip_bytes / self.bound_bytes

    def to_dict(self) -> dict[str, Any]:
        """The measurement as plain data, ready for JSON."""
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
        }


def check_measurement(name: str, value: object) -> None:
    """Raises a `TypeError` unless it is one."""
    if not isinstance(value, Measurement):
        raise TypeError(
            f"{name} is a Measurement, as a comparison has them. Received: {value!r}."
        )
