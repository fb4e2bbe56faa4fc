"""The repair of a pruned model, kernel by kernel."""

from __future__ import annotations

from dataclasses import dataclass

from keras_prune_kit.reports.printed import Printed, Table
from keras_prune_kit.reports.sparsity import Skipped, skipped_texts
from keras_prune_kit.reports.tables import percent


@dataclass(frozen=True)
class RepairedWeight:
    """The repair of one kernel.

    Attributes:
        path: Layer path and attribute, such as `"encoder/dense/kernel"`.
        sparsity: The fraction of zeros, 0 to 1, which stay.
        rows: The number of inputs of the kernel that were compared: samples, or patches
            and places of them.
        error_before: The squared error of its outputs, as a fraction of the variance
            that they have in the dense model.
        error_after: The same after the repair, of the rounded weights if they are.
        note: A limit that was met, or an empty string.
        weight_bits: The bits that its weights are rounded to, or `None`.
    """

    path: str
    sparsity: float
    rows: int
    error_before: float
    error_after: float
    note: str = ""
    weight_bits: int | None = None


@dataclass(frozen=True)
class ReconstructionReport(Printed):
    """The kernels that were solved anew, and those that were left as they are.

    Attributes:
        weights: One record per kernel that was solved, in the order of the model's
            computation.
        left: The others, each with the reason.

    Example:

    >>> kernel = RepairedWeight("dense/kernel", 0.9, 512, 0.25, 0.01)
    >>> print(ReconstructionReport((kernel,), (Skipped("lstm/kernel", "recurrent"),)))
    Reconstruction: error of each kernel's outputs,
    as a part of their variance
    <BLANKLINE>
     weight        sparsity  rows   before   after
     ─────────────────────────────────────────────
     dense/kernel   90.00 %   512  25.00 %  1.00 %
    skipped lstm/kernel: recurrent
    """

    weights: tuple[RepairedWeight, ...]
    left: tuple[Skipped, ...] = ()

    def to_dict(self) -> dict:
        """Return the report as plain data, ready for JSON."""
        return {
            "weights": [vars(weight) for weight in self.weights],
            "left": [vars(item) for item in self.left],
        }

    def _blocks(self) -> tuple[Table]:
        names = ["weight", "sparsity", "rows", "before", "after"]
        rows = [
            [
                weight.path,
                percent(weight.sparsity),
                f"{weight.rows:,}",
                percent(weight.error_before),
                percent(weight.error_after),
            ]
            for weight in self.weights
        ]
        if any(weight.weight_bits for weight in self.weights):
            names.append("bits")
            for row, weight in zip(rows, self.weights, strict=True):
                row.append(str(weight.weight_bits or ""))
        notes = [f"{w.path}: {w.note}" for w in self.weights if w.note]
        return (
            Table(
                "Reconstruction: error of each kernel's outputs, as a part of their "
                "variance",
                names,
                rows,
                {
                    "sparsity": [w.sparsity for w in self.weights],
                    # An error may exceed the variance.
                    "before": [min(w.error_before, 1) for w in self.weights],
                    "after": [min(w.error_after, 1) for w in self.weights],
                },
                [*notes, *skipped_texts(self.left)],
            ),
        )
