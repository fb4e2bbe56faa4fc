"""How many different values there are, weight by weight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.sparsity import Skipped, skipped_lines
from keras_prune_kit.reports.tables import percent, render_table, shape_text


@dataclass(frozen=True)
class WeightClusters:
    """The different values of one weight.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`.
        shape: Shape of the weight.
        distinct: How many different values it has, zero among them if there are zeros.
        zeros: How many of its values are zero.
        clusters: How many different values it may have.
    """

    path: str
    shape: tuple[int, ...]
    distinct: int
    zeros: int
    clusters: int

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ClusteringReport:
    """The different values of a model, weight by weight.

    Attributes:
        weights: One record a weight.
        skipped: Layers that were left as they are, each with its reason.
    """

    weights: tuple[WeightClusters, ...]
    skipped: tuple[Skipped, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
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

    def __str__(self) -> str:
        rows = [
            (
                weight.path,
                shape_text(weight.shape),
                f"{weight.distinct} of {weight.clusters}",
                percent(weight.zeros / weight.size),
            )
            for weight in self.weights
        ]
        columns = ("weight", "shape", "values", "zeros")
        return render_table("Clusters", columns, rows) + skipped_lines(self.skipped)
