"""The zeros of a model or file, weight by weight."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

from keras_prune_kit.reports.printed import Printed, Table
from keras_prune_kit.reports.rendering import draw
from keras_prune_kit.reports.tables import percent, shape_text

_MOST_NAMED = 4  # skipped layers with the same reason that get one line each


@dataclass(frozen=True)
class Skipped:
    """A layer whose weights are left unchanged, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class WeightSparsity:
    """The zeros of one weight.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`, or the
            name of a tensor in a .tflite file.
        shape: Shape of the weight.
        zeros: Number of zeros.
        target: Target sparsity, 0 to 1, or `None`.
    """

    path: str
    shape: tuple[int, ...]
    zeros: int
    target: float | None = None

    @property
    def size(self) -> int:
        """The number of values in the weight."""
        return math.prod(self.shape)

    @property
    def sparsity(self) -> float:
        """The fraction of values that are zero, 0 to 1."""
        return self.zeros / self.size if self.size else 0.0


@dataclass(frozen=True)
class SparsityReport(Printed):
    """The zeros of a model or of a .tflite file, weight by weight.

    Attributes:
        weights: One record per weight.
        skipped: Layers that were left unchanged, each with the reason.
        unmet: Records of the weights that have not reached their target.

    Example:

    >>> print(SparsityReport((WeightSparsity("dense/kernel", (8, 4), zeros=24),)))
    Sparsity
    <BLANKLINE>
     weight        shape  zeros  sparsity
     ────────────────────────────────────
     dense/kernel    8x4     24   75.00 %
     all                     24   75.00 %
    """

    weights: tuple[WeightSparsity, ...]
    skipped: tuple[Skipped, ...] = ()
    unmet: tuple[WeightSparsity, ...] = ()

    @property
    def size(self) -> int:
        """The number of values in all weights."""
        return sum(weight.size for weight in self.weights)

    @property
    def zeros(self) -> int:
        """The number of zeros in all weights."""
        return sum(weight.zeros for weight in self.weights)

    @property
    def sparsity(self) -> float:
        """The fraction of zeros over all weights, 0 to 1."""
        return self.zeros / self.size if self.size else 0.0

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the sparsity of each weight as a bar, with its target.

        Args:
            path: Where to write the picture; the extension selects the format.

        Raises:
            OSError: If the path cannot be written.
            ValueError: If the report has no weights.
        """
        draw("plot_weights", self, path)

    def to_dict(self) -> dict:
        """Return the report as plain data, ready for JSON."""
        return {
            "sparsity": self.sparsity,
            "weights": [
                {
                    "path": weight.path,
                    "shape": list(weight.shape),
                    "zeros": weight.zeros,
                    "sparsity": weight.sparsity,
                    "target": weight.target,
                }
                for weight in self.weights
            ],
            "skipped": [{"path": s.path, "reason": s.reason} for s in self.skipped],
        }

    def _blocks(self) -> tuple[Table]:
        columns = ["weight", "shape", "zeros", "sparsity"]
        rows = [
            [
                weight.path,
                shape_text(weight.shape),
                f"{weight.zeros:,}",
                percent(weight.sparsity),
            ]
            for weight in self.weights
        ]
        rows.append(["all", "", f"{self.zeros:,}", percent(self.sparsity)])
        targets = [weight.target for weight in self.weights]
        if any(target is not None for target in targets):
            columns.append("target")
            # The row of all weights has no target.
            for row, target in zip(rows, [*targets, None], strict=True):
                row.append("" if target is None else percent(target))
        bars = {"sparsity": [*(w.sparsity for w in self.weights), self.sparsity]}
        below = skipped_texts(self.skipped)
        return (Table("Sparsity", columns, rows, bars, below),)


def skipped_lines(skipped: Iterable[Skipped]) -> str:
    """Return `skipped_texts`, each after a line break, or an empty string."""
    return "".join(f"\n{text}" for text in skipped_texts(skipped))


def skipped_texts(skipped: Iterable[Skipped]) -> list[str]:
    """Return the skipped layers as lines of text.

    Each layer has one line, but more than four with the same reason share one.
    """
    by_reason: dict[str, list[str]] = {}
    for item in skipped:
        by_reason.setdefault(item.reason, []).append(item.path)
    lines = []
    for reason, paths in by_reason.items():
        if len(paths) > _MOST_NAMED:
            paths = [f"{len(paths)} layers from {paths[0]} to {paths[-1]}"]
        lines += [f"skipped {path}: {reason}" for path in paths]
    return lines
