"""Pruning plans: the decisions of a policy for each weight of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from keras_prune_kit.reports import Printed, Skipped, Table, skipped_texts
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.structures import Structure


@dataclass(frozen=True)
class PlannedWeight:
    """The settings that a plan has for one weight.

    Attributes:
        path: The path of the layer and the attribute, joined by "/".
        shape: The shape of the weight.
        schedule: The schedule of its sparsity.
        structure: The shape of its zeros.
        reason: The rule that decides, or `"policy"`.
    """

    path: str
    shape: tuple[int, ...]
    schedule: Schedule
    structure: Structure
    reason: str


@dataclass(frozen=True)
class PrunePlan(Printed):
    """The weights that a policy will prune and those that it will skip.

    Attributes:
        weights: The weights that will be pruned.
        skipped: The weights and layers that stay dense, with reasons.
        title: The title of the table.
    """

    weights: tuple[PlannedWeight, ...]
    skipped: tuple[Skipped, ...]
    title: str = field(default="Prune plan", repr=False, compare=False)

    def _blocks(self) -> tuple[Table]:
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
        bars = {"sparsity": [w.schedule.final_sparsity for w in self.weights]}
        below = skipped_texts(self.skipped)
        return (Table(self.title, columns, rows, bars, below),)
