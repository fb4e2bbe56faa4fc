"""What became of the layers of a model that was converted to train otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_prune_kit.reports.sparsity import Skipped, skipped_lines
from keras_prune_kit.reports.tables import render_table


@dataclass(frozen=True)
class LayerReport:
    """Which layers of a model were converted.

    Attributes:
        layers: Path and what was done to it, one pair a layer.
        skipped: Layers that were left as they are, each with its reason.
    """

    layers: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]

    def __str__(self) -> str:
        table = render_table("Layers", ("layer", "done"), self.layers)
        return table + skipped_lines(self.skipped)


class Converted(NamedTuple):
    """A model whose layers were made to train quantized or clustered.

    It unpacks: `model, report = kpk.quantize_aware(...)`.

    Attributes:
        model: A new model; the original is as it was.
        report: The layers that were converted and those left as they are.
    """

    model: Any
    report: LayerReport
