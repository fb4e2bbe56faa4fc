"""The attempts of a search for the smallest or the fastest file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from keras_prune_kit.reports.allowance import Allowance
from keras_prune_kit.reports.printed import Notes, Printed, Table, shares


@dataclass(frozen=True)
class Attempt:
    """One attempt of a search.

    Attributes:
        setting: Sparsity and quantization, such as `"97.00 %, 4-bit QAT"`.
        epochs: Number of training epochs.
        score: The file's value of the metric, on the validation data.
        gzip_bytes: Size of the file after gzip.
        holds: True if the score is within the accepted drop.
        latency_ms: The file's latency for one sample, in milliseconds; `None` if it was
            not measured.
    """

    setting: str
    epochs: int
    score: float
    gzip_bytes: int
    holds: bool
    latency_ms: float | None = None


@dataclass(frozen=True)
class Search(Printed):
    """All attempts of a search for the best file within an accepted drop.

    Attributes:
        metric: Name of the metric that decides.
        baseline_score: The original model's value of the metric.
        max_accuracy_drop: Largest accepted drop: absolute for a metric to maximize,
            relative for an error; see `compress`.
        attempts: The attempts in order; the first is the dense model.
        chosen: Index of the attempt whose file ships.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
        target: `"smallest"` or `"fastest"`: the file that ships.
        samples: Number of samples that the metric is measured on; `None` if it is no
            accuracy of samples.

    Example:

    >>> dense = Attempt("dense, int8", 0, 0.949, 9000, True)
    >>> pruned = Attempt("80.00 %, int8", 5, 0.945, 4000, True)
    >>> print(Search("accuracy", 0.95, 0.01, (dense, pruned), chosen=1))
    Attempts (< ships)
    <BLANKLINE>
     zeros, numbers   epochs  accuracy  gzipped  holds
     ─────────────────────────────────────────────────
     dense, int8           0    0.9490    9,000    yes
     80.00 %, int8 <       5    0.9450    4,000    yes
    <BLANKLINE>
    80.00 %, int8: the smallest file tried whose accuracy on the validation data is
    within 0.01 of the baseline's 0.9500.
    """

    metric: str
    baseline_score: float
    max_accuracy_drop: float
    attempts: tuple[Attempt, ...]
    chosen: int
    mode: str = "max"
    target: str = "smallest"
    samples: int | None = None

    @property
    def standard_error(self) -> float | None:
        """One standard error of the baseline's accuracy; `None` for another metric."""
        if not self.samples:
            return None
        # Laplace's estimate: samples that are all right are no proof of perfection.
        right = (self.samples * self.baseline_score + 1) / (self.samples + 2)
        return math.sqrt(right * (1 - right) / self.samples)

    @property
    def is_timed(self) -> bool:
        """True if latencies were measured."""
        return any(attempt.latency_ms is not None for attempt in self.attempts)

    @property
    def first_column(self) -> str:
        """The heading of the settings in tables."""
        return f"{'zeros' if self.target == 'smallest' else 'channels'}, numbers"

    @property
    def verdict(self) -> str:
        """The outcome of the search, in one to four sentences."""
        found = self.attempts[self.chosen]
        allowed = Allowance(self.baseline_score, self.max_accuracy_drop, self.mode)
        rule = (
            f"{self.metric} on the validation data is within {allowed.amount} of the "
            f"baseline's {self.baseline_score:.4f}"
        )
        # The first attempt is the dense model.
        if not any(attempt.holds for attempt in self.attempts[1:]):
            state = "is within it" if found.holds else "is not within it either"
            kind = "pruned" if self.target == "smallest" else "smaller"
            return (
                f"There is no {kind} file whose {rule}. The file that ships is not "
                f"{kind}: it is the mildest attempt ({found.setting}), which {state}. "
                "Allow more epochs or a larger drop."
            )
        return (
            f"{found.setting}: the {self.target} file tried whose {rule}.{self._doubt}"
        )

    @property
    def _doubt(self) -> str:
        """A sentence on an accepted drop that is finer than the data can tell."""
        error = self.standard_error
        if error is None or error <= self.max_accuracy_drop:
            return ""
        return (
            f" A drop of {self.max_accuracy_drop:g} is finer than {self.samples:,} "
            f"samples tell: one standard error is {error:.2g}. Validate on more, or "
            "measure the file on data that have chosen nothing."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data, ready for JSON."""
        return {**asdict(self), "verdict": self.verdict}

    def _blocks(self) -> tuple[Table, Notes]:
        rows = [
            (
                f"{attempt.setting}{' <' if index == self.chosen else ''}",
                str(attempt.epochs),
                f"{attempt.score:.4f}",
                f"{attempt.gzip_bytes:,}",
                *([f"{attempt.latency_ms or 0:.3f}"] if self.is_timed else []),
                "yes" if attempt.holds else "no",
            )
            for index, attempt in enumerate(self.attempts)
        ]
        ms = ["ms"] if self.is_timed else []
        columns = (self.first_column, "epochs", self.metric, "gzipped", *ms, "holds")
        bars = {"gzipped": shares([attempt.gzip_bytes for attempt in self.attempts])}
        table = Table("Attempts (< ships)", columns, rows, bars)
        return table, Notes([self.verdict])
