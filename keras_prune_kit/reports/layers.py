"""The result of converting a model for quantized or clustered training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_prune_kit.reports.printed import Printed, Table
from keras_prune_kit.reports.sparsity import Skipped, skipped_texts


@dataclass(frozen=True)
class LayerReport(Printed):
    """The converted and the skipped layers of a model.

    Attributes:
        layers: Pairs of a layer's path and what was done to it.
        skipped: Layers that were left unchanged, each with the reason.

    Example:

    >>> skipped = Skipped("lambda", "an unknown layer")
    >>> print(LayerReport((("conv", "8-bit weights"),), (skipped,)))
    Layers
    <BLANKLINE>
     layer           done
     ────────────────────
     conv   8-bit weights
    skipped lambda: an unknown layer
    """

    layers: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]

    def _blocks(self) -> tuple[Table]:
        below = skipped_texts(self.skipped)
        return (Table("Layers", ("layer", "done"), self.layers, below=below),)


class Converted(NamedTuple):
    """A model converted for quantization-aware or clustered training, and a report.

    It unpacks: `model, report = kpk.quantize_aware(...)`.

    Attributes:
        model: A new model; the original is unchanged.
        report: The converted and the skipped layers.
    """

    model: Any
    report: LayerReport
