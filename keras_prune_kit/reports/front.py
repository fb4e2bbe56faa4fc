"""What a search has found: how good against how small, trial by trial."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_prune_kit.reports.allowance import Allowance
from keras_prune_kit.reports.rendering import draw, write_page
from keras_prune_kit.reports.tables import bytes_text, percent, render_table


@dataclass(frozen=True)
class SearchTrial:
    """One trial that was finished.

    Attributes:
        name: What KerasTuner calls it.
        folder: Where its `model.keras`, `model.tflite` and `compression.json` are.
        accuracy: The metric that decides, of the .tflite, be it an accuracy or not.
        gzip_bytes: The size of the .tflite after gzip.
        measures: All that was measured, by name.
        hyperparameters: What it was made with, by name.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
    """

    name: str
    folder: Path
    accuracy: float
    gzip_bytes: int
    measures: Mapping[str, float] = field(repr=False)
    hyperparameters: Mapping[str, Any]
    mode: str = "max"

    @property
    def badness(self) -> float:
        """The metric turned so that less is better."""
        return -self.accuracy if self.mode == "max" else self.accuracy

    def is_worse_than(self, other: SearchTrial) -> bool:
        """Whether the other is at least as good and as small, and better in one."""
        mine, others = ((trial.gzip_bytes, trial.badness) for trial in (self, other))
        return others != mine and all(o <= m for o, m in zip(others, mine, strict=True))

    @property
    def settings(self) -> dict[str, str]:
        """The hyperparameters as a person reads them."""
        return {
            name: f"{value:.3g}" if isinstance(value, float) else str(value)
            for name, value in self.hyperparameters.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain data, ready for JSON."""
        return {
            "name": self.name,
            "folder": os.fspath(self.folder),
            "hyperparameters": dict(self.hyperparameters),
            "measures": dict(self.measures),
        }


@dataclass(frozen=True)
class ParetoFront:
    """What `pareto_front` returns. It prints as a table.

    Attributes:
        trials: All finished trials, in the order in which they were begun.
        metric: The name of the metric that decides, such as `"accuracy"`.
        baseline_accuracy: What the baseline has of it, on the same data.
        baseline_gzip_bytes: The weights of the baseline as an .h5 file, gzipped.
        max_accuracy_drop: What the search was allowed to lose; see
            `CompressionHyperModel`.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
    """

    trials: tuple[SearchTrial, ...]
    metric: str
    baseline_accuracy: float
    baseline_gzip_bytes: int
    max_accuracy_drop: float
    mode: str = "max"

    @property
    def allowance(self) -> Allowance:
        """What the search was allowed to lose, and the worst metric that holds."""
        return self._allowance(self.max_accuracy_drop)

    @property
    def reference_accuracy(self) -> float:
        """Where `hypervolume` begins: 0, of an error twice what the baseline has."""
        return 0.0 if self.mode == "max" else 2 * self.baseline_accuracy

    @property
    def axis_title(self) -> str:
        """The metric as the title of an axis, which is read upwards as better."""
        title = self.metric.replace("_", " ").capitalize()
        return title if self.mode == "max" else f"{title} (less is better)"

    @property
    def points(self) -> tuple[SearchTrial, ...]:
        """The trials that no other one beats in both ways, the smallest file first.

        Of trials with the same figures the first one stands for all.
        """
        best: dict[tuple[int, float], SearchTrial] = {}
        for trial in self.trials:
            if not any(map(trial.is_worse_than, self.trials)):
                best.setdefault((trial.gzip_bytes, trial.accuracy), trial)
        return tuple(best[key] for key in sorted(best))

    def hypervolume(
        self, *, min_accuracy: float | None = None, max_bytes: float | None = None
    ) -> float:
        """How much the front covers: what is won of the metric, times halvings.

        The area between the front and a reference point, with size on a scale of
        base-2 logarithms. To compare searches, give both the same reference point.

        Args:
            min_accuracy: What the reference point has of the metric, the worst that
                counts. Defaults to `None`: 0, of an error twice the baseline's.
            max_bytes: Its gzipped bytes. Defaults to `None`: those of the baseline.

        Returns:
            The area. It is 0 if nothing is better than the reference point.
        """
        worst = self.reference_accuracy if min_accuracy is None else min_accuracy
        area, floor = 0.0, worst if self.mode == "min" else -worst
        limit = math.log2(max_bytes or self.baseline_gzip_bytes)
        for point in self.points:
            halvings = limit - math.log2(point.gzip_bytes)
            if halvings > 0 and point.badness < floor:
                area += halvings * (floor - point.badness)
                floor = point.badness
        return area

    def size_ratio(self, trial: SearchTrial) -> float:
        """How many times smaller than the baseline a trial is, both gzipped."""
        return self.baseline_gzip_bytes / trial.gzip_bytes

    def best_under(self, *, max_bytes: int) -> SearchTrial:
        """The best trial that is small enough.

        Args:
            max_bytes: What the gzipped .tflite may take.

        Raises:
            ValueError: If there is none.
        """
        found = [point for point in self.points if point.gzip_bytes <= max_bytes]
        if not found:
            raise ValueError(
                f"No trial has a file of at most {max_bytes:,} bytes, gzipped. "
                f"{self._smallest()} Search on, or with a higher sparsity."
            )
        return found[-1]

    def smallest_within(self, *, accuracy_drop: float | None = None) -> SearchTrial:
        """The smallest trial that is good enough.

        Args:
            accuracy_drop: How much worse than the baseline it may be: a difference in
                the metric's own unit; of an error relative to the baseline's, so that
                0.01 is one percent more. Defaults to `None`: what the search was
                allowed to lose.

        Raises:
            ValueError: If there is none.
        """
        drop = self.max_accuracy_drop if accuracy_drop is None else accuracy_drop
        allowance = self._allowance(drop)
        for point in self.points:
            if allowance.holds(point.accuracy):
                return point
        raise ValueError(
            f"No trial comes within {allowance.amount} of the {self.metric} of the "
            f"baseline, "
            f"{self.baseline_accuracy:.4f}. {self._best()} Search on, or with a lower "
            "sparsity."
        )

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws all trials and the front.

        Args:
            path: Where to write the picture; the ending chooses the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_front", self, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes a page on which each point shows its hyperparameters.

        Args:
            path: Where to write the page, which needs no other file and no network.

        Raises:
            OSError: If the path cannot be written.
        """
        write_page("front_page", self, path)

    def to_dict(self) -> dict[str, Any]:
        """The front as plain data, ready for JSON."""
        return {
            "metric": self.metric,
            "mode": self.mode,
            "baseline_accuracy": self.baseline_accuracy,
            "baseline_gzip_bytes": self.baseline_gzip_bytes,
            "max_accuracy_drop": self.max_accuracy_drop,
            "hypervolume": self.hypervolume(),
            "front": [point.name for point in self.points],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def __str__(self) -> str:
        points = self.points
        return render_table(
            f"Pareto front: {len(points)} of {len(self.trials)} trials; baseline "
            f"{self.baseline_accuracy:.4f}, {bytes_text(self.baseline_gzip_bytes)}",
            ("trial", self.metric, "gzipped", "ratio", "sparsity", "quantization"),
            [self._row(point) for point in points],
        )

    def _allowance(self, drop: float) -> Allowance:
        return Allowance(self.baseline_accuracy, drop, self.mode)

    def _row(self, trial: SearchTrial) -> Sequence[str]:
        return (
            trial.name,
            f"{trial.accuracy:.4f}",
            f"{trial.gzip_bytes:,}",
            f"{self.size_ratio(trial):.1f}x",
            percent(trial.measures["sparsity"]),
            str(trial.hyperparameters.get("quantization", "")),
        )

    def _smallest(self) -> str:
        return f"The smallest has {self.points[0].gzip_bytes:,}."

    def _best(self) -> str:
        return f"The best has {self.points[-1].accuracy:.4f}."
