"""What a search for the smallest file tried."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from keras_prune_kit.reports.allowance import Allowance
from keras_prune_kit.reports.tables import TABLE_WIDTH, render_table


@dataclass(frozen=True)
class Attempt:
    """One setting that was tried.

    Attributes:
        setting: What it was, such as `"97.00 %, 4-bit QAT"`.
        epochs: Epochs of training that it took.
        score: What its file has of the metric on the validation data.
        gzip_bytes: The size of its file after gzip.
        holds: Whether that is good enough.
    """

    setting: str
    epochs: int
    score: float
    gzip_bytes: int
    holds: bool


@dataclass(frozen=True)
class Search:
    """All attempts at the smallest file that holds a metric.

    Attributes:
        metric: The metric's name.
        baseline_score: What the model as it came has of it.
        max_accuracy_drop: How much of it a file may lose: in its own unit, of an error
            relative to the baseline's; see `compress`.
        attempts: In the order of their making; the first is the dense model.
        chosen: The number of the attempt whose file ships.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
    """

    metric: str
    baseline_score: float
    max_accuracy_drop: float
    attempts: tuple[Attempt, ...]
    chosen: int
    mode: str = "max"

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence."""
        found = self.attempts[self.chosen]
        allowed = Allowance(self.baseline_score, self.max_accuracy_drop, self.mode)
        rule = (
            f"{self.metric} of {self.baseline_score:.4f} {allowed} on the validation "
            "data"
        )
        if not any(attempt.holds for attempt in self.attempts[1:]):
            kept = "does" if found.holds else "does not either"
            return (
                f"No pruned file holds {rule}. What ships is not pruned: it is the "
                f"mildest attempt ({found.setting}), which {kept}. Give it more epochs "
                "or a larger drop."
            )
        return f"{found.setting}: the smallest file tried that holds {rule}."

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data, ready for JSON."""
        return {**asdict(self), "verdict": self.verdict}

    def __str__(self) -> str:
        rows = [
            (
                f"{attempt.setting}{' <' if index == self.chosen else ''}",
                str(attempt.epochs),
                f"{attempt.score:.4f}",
                f"{attempt.gzip_bytes:,}",
                "yes" if attempt.holds else "no",
            )
            for index, attempt in enumerate(self.attempts)
        ]
        columns = ("zeros, numbers", "epochs", self.metric, "gzipped", "holds")
        table = render_table("Attempts (< ships)", columns, rows)
        return f"{table}\n\n{textwrap.fill(self.verdict, TABLE_WIDTH)}"
