"""The effect on the loss of pruning one weight at a time."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.printed import Printed, Table, shares
from keras_prune_kit.reports.rendering import chart, draw


@dataclass(frozen=True)
class WeightSensitivity:
    """The loss with one weight pruned and all others unchanged.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`.
        shape: Shape of the weight.
        sparsities: Tried sparsities, in ascending order.
        losses: Loss at each of these sparsities.
    """

    path: str
    shape: tuple[int, ...]
    sparsities: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of values in the weight."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class SensitivityReport(Printed):
    """The sensitivity of the loss to pruning one weight at a time.

    Attributes:
        loss: Loss with nothing pruned.
        weights: One record per weight.

    Example:

    >>> kernel = WeightSensitivity("dense/kernel", (8, 4), (0.5, 0.9), (0.26, 0.75))
    >>> print(SensitivityReport(0.25, (kernel,)))
    Sensitivity: rise of the loss,
    0.25 with nothing pruned
    <BLANKLINE>
     weight          50 %    90 %
     ────────────────────────────
     dense/kernel  +0.010  +0.500
    """

    loss: float
    weights: tuple[WeightSensitivity, ...]

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the rise of the loss against the sparsity, one line per weight.

        Args:
            path: Where to write the picture; the extension selects the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_sensitivity", self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for JSON."""
        return {
            "loss": self.loss,
            "weights": [
                {
                    "path": weight.path,
                    "shape": list(weight.shape),
                    "sparsities": list(weight.sparsities),
                    "losses": list(weight.losses),
                }
                for weight in self.weights
            ],
        }

    def _blocks(self) -> tuple[Table]:
        levels = [f"{100 * level:.4g} %" for level in self.weights[0].sparsities]
        rises = [[loss - self.loss for loss in w.losses] for w in self.weights]
        # One scale for all levels.
        lengths = iter(shares([rise for row in rises for rise in row]))
        bars = [[next(lengths) for _ in row] for row in rises]
        return (
            Table(
                f"Sensitivity: rise of the loss, {self.loss:.4g} with nothing pruned",
                ("weight", *levels),
                [
                    (weight.path, *(f"{rise:+.3f}" for rise in row))
                    for weight, row in zip(self.weights, rises, strict=True)
                ],
                dict(zip(levels, zip(*bars, strict=True), strict=True)),
            ),
        )

    def _picture(self) -> str:
        return chart("sensitivity", self)
