"""The number of distinct values in each clustered weight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.printed import Printed, Table
from keras_prune_kit.reports.sparsity import Skipped, skipped_texts
from keras_prune_kit.reports.tables import percent, shape_text


@dataclass(frozen=True)
class WeightClusters:
    """The number of distinct values in one weight.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`.
        shape: Shape of the weight.
        distinct: Number of distinct values, including zero if it occurs.
        zeros: Number of zeros.
        clusters: Largest accepted number of distinct values.
    """

    path: str
    shape: tuple[int, ...]
    distinct: int
    zeros: int
    clusters: int

    @property
    def size(self) -> int:
        """The number of values in the weight."""
        return math.prod(self.shape)

    @property
    def sparsity(self) -> float:
        """The fraction of values that are zero, 0 to 1."""
        return self.zeros / self.size if self.size else 0.0


@dataclass(frozen=True)
class ClusteringReport(Printed):
    """The number of distinct values in each clustered weight of a model.

    Attributes:
        weights: One record per weight.
        skipped: Layers that were left unchanged, each with the reason.

    Example:

    >>> print(ClusteringReport((WeightClusters("dense/kernel", (8, 4), 3, 16, 4),)))
    Clusters
    <BLANKLINE>
     weight        shape  values    zeros
     ────────────────────────────────────
     dense/kernel    8x4  3 of 4  50.00 %
    """

    weights: tuple[WeightClusters, ...]
    skipped: tuple[Skipped, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for JSON."""
        return {
            "weights": [
                {
                    "path": weight.path,
                    "shape": list(weight.shape),
                    "distinct": weight.distinct,
                    "zeros": weight.zeros,
                    "clusters": weight.clusters,
                }
                for weight in self.weights
            ],
            "skipped": [{"path": s.path, "reason": s.reason} for s in self.skipped],
        }

    def _blocks(self) -> tuple[Table]:
        rows = [
            (
                weight.path,
                shape_text(weight.shape),
                f"{weight.distinct} of {weight.clusters}",
                percent(weight.sparsity),
            )
            for weight in self.weights
        ]
        columns = ("weight", "shape", "values", "zeros")
        bars = {"zeros": [weight.sparsity for weight in self.weights]}
        below = skipped_texts(self.skipped)
        return (Table("Clusters", columns, rows, bars, below),)
