"""What the functions of the bridge return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_prune_kit.policies import PrunePlan
from keras_prune_kit.reports import Skipped, render_table, skipped_lines


class Wrapped(NamedTuple):
    """A model with wrappers in it, and what was wrapped.

    It unpacks: `model, report = kpk.tfmot.wrap(...)`.

    Attributes:
        model: A new `tf_keras` model; the original is as it was.
        report: The weights that will be pruned and what stays dense, with reasons.
    """

    model: Any
    report: PrunePlan


class Converted(NamedTuple):
    """A model whose layers were made to train quantized or clustered.

    It unpacks: `model, report = kpk.tfmot.quantize_aware(...)`.

    Attributes:
        model: A new `tf_keras` model; the original is as it was.
        report: The layers that were converted and those left as they are.
    """

    model: Any
    report: LayerReport


@dataclass(frozen=True)
class LayerReport:
    """Which layers of a model were converted.

    Attributes:
        layers: Path and what was done to it, one pair a layer.
        skipped: Layers with weights that were left as they are, each with its reason.
    """

    layers: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]

    def __str__(self) -> str:
        table = render_table("Layers", ("layer", "done"), self.layers)
        return table + skipped_lines(self.skipped)
