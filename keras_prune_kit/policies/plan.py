"""What a policy will do, weight by weight."""

from __future__ import annotations

from dataclasses import dataclass

from keras_prune_kit.reports import Skipped, render_table, skipped_lines
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.structures import Structure


@dataclass(frozen=True)
class PlannedWeight:
    """One line of a plan."""

    path: str
    shape: tuple[int, ...]
    schedule: Schedule
    structure: Structure
    reason: str


@dataclass(frozen=True)
class PrunePlan:
    """What a policy will do to a model.

    Attributes:
        weights: The weights that will be pruned.
        skipped: What stays dense, each with its reason.
    """

    weights: tuple[PlannedWeight, ...]
    skipped: tuple[Skipped, ...]

    def __str__(self) -> str:
        rows = [
            (
                weight.path,
                "x".join(map(str, weight.shape)),
                f"{weight.schedule.final_sparsity:.4g}",
                type(weight.structure).__name__,
                weight.reason,
            )
            for weight in self.weights
        ]
        columns = ("weight", "shape", "sparsity", "structure", "because of")
        table = render_table("Prune plan", columns, rows)
        return table + skipped_lines(self.skipped)
