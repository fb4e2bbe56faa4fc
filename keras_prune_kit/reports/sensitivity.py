"""What pruning each weight alone does to the loss."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from keras_prune_kit.reports.rendering import draw
from keras_prune_kit.reports.tables import render_table


@dataclass(frozen=True)
class WeightSensitivity:
    """The loss with one weight pruned and the others as they are.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`.
        shape: Shape of the weight.
        sparsities: The sparsities that were tried, in rising order.
        losses: The loss at each of them.
    """

    path: str
    shape: tuple[int, ...]
    sparsities: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class SensitivityReport:
    """How sensitive the loss is to pruning each weight alone.

    Attributes:
        loss: The loss with nothing pruned.
        weights: One record a weight.
    """

    loss: float
    weights: tuple[WeightSensitivity, ...]

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws the rise of the loss against the sparsity, a line a weight.

        Args:
            path: Where to write the picture; the ending chooses the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_sensitivity", self, path)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
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

    def __str__(self) -> str:
        levels = self.weights[0].sparsities
        rows = [
            (weight.path, *(f"{loss - self.loss:+.3f}" for loss in weight.losses))
            for weight in self.weights
        ]
        return render_table(
            f"Sensitivity: rise of the loss, {self.loss:.4g} with nothing pruned",
            ("weight", *(f"{100 * level:.4g} %" for level in levels)),
            rows,
        )
