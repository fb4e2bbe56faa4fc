"""What a search has found: accuracy against size, trial by trial."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_prune_kit.files import replacing
from keras_prune_kit.reports.tables import bytes_text, percent, render_table

_ROUNDING = 1e-6  # Metrics are float32.


@dataclass(frozen=True)
class SearchTrial:
    """One trial that was finished.

    Attributes:
        name: What KerasTuner calls it.
        folder: Where its `model.keras`, `model.tflite` and `compression.json` are.
        accuracy: The metric that decides, of the .tflite.
        gzip_bytes: The size of the .tflite after gzip.
        measures: All that was measured, by name.
        hyperparameters: What it was made with, by name.
    """

    name: str
    folder: Path
    accuracy: float
    gzip_bytes: int
    measures: Mapping[str, float] = field(repr=False)
    hyperparameters: Mapping[str, Any]

    def is_worse_than(self, other: SearchTrial) -> bool:
        """Whether the other is at least as good and as small, and better in one."""
        mine, others = ((trial.gzip_bytes, -trial.accuracy) for trial in (self, other))
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
        max_accuracy_drop: What the search was allowed to lose.
    """

    trials: tuple[SearchTrial, ...]
    metric: str
    baseline_accuracy: float
    baseline_gzip_bytes: int
    max_accuracy_drop: float

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
        self, *, min_accuracy: float = 0.0, max_bytes: float | None = None
    ) -> float:
        """How much the front covers: accuracy times halvings of the size.

        The area between the front and a reference point, with size on a scale of
        base-2 logarithms. To compare searches, give both the same reference point.

        Args:
            min_accuracy: The accuracy of the reference point. Defaults to 0.
            max_bytes: Its gzipped bytes. Defaults to `None`: those of the baseline.

        Returns:
            The area. It is 0 if nothing is better than the reference point.
        """
        area, floor = 0.0, min_accuracy
        limit = math.log2(max_bytes or self.baseline_gzip_bytes)
        for point in self.points:
            halvings = limit - math.log2(point.gzip_bytes)
            if halvings > 0 and point.accuracy > floor:
                area += halvings * (point.accuracy - floor)
                floor = point.accuracy
        return area

    def size_ratio(self, trial: SearchTrial) -> float:
        """How many times smaller than the baseline a trial is, both gzipped."""
        return self.baseline_gzip_bytes / trial.gzip_bytes

    def best_under(self, *, max_bytes: int) -> SearchTrial:
        """The most accurate trial that is small enough.

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
        """The smallest trial that is accurate enough.

        Args:
            accuracy_drop: How much less than the baseline it may have. Defaults to
                `None`: what the search was allowed to lose.

        Raises:
            ValueError: If there is none.
        """
        drop = self.max_accuracy_drop if accuracy_drop is None else accuracy_drop
        for point in self.points:
            if is_within(self.baseline_accuracy - point.accuracy, drop):
                return point
        raise ValueError(
            f"No trial comes within {drop:g} of the {self.metric} of the baseline, "
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
        # Here, because matplotlib takes longer to import than all the rest of reports.
        from keras_prune_kit.plots import plot_front

        with replacing(path) as part:
            plot_front(self, part)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes a page on which each point shows its hyperparameters.

        Args:
            path: Where to write the page, which needs no other file and no network.

        Raises:
            OSError: If the path cannot be written.
        """
        from keras_prune_kit.pages import front_page

        with replacing(path) as part:
            part.write_text(front_page(self), encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """The front as plain data, ready for JSON."""
        return {
            "metric": self.metric,
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


def is_within(drop: float, limit: float) -> bool:
    """Whether a drop in accuracy is no larger than the limit, but for rounding."""
    return drop <= limit + _ROUNDING
