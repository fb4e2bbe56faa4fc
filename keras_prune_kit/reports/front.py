"""The result of a search: metric and gzipped size of each trial."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_prune_kit.reports.allowance import Allowance
from keras_prune_kit.reports.printed import Printed, Table, shares
from keras_prune_kit.reports.rendering import chart, draw, write_page
from keras_prune_kit.reports.tables import bytes_text, percent

_FAR_OUT = 3  # Trials worse by more than this many spreads of the front are cut off.


@dataclass(frozen=True)
class SearchTrial:
    """One finished trial of a search.

    Attributes:
        name: KerasTuner's identifier of the trial.
        folder: Folder with its `model.keras`, `model.tflite` and `compression.json`;
            for a hypermodel of your own, with what KerasTuner saves.
        accuracy: The .tflite's value of the metric that decides, which may also be an
            error.
        gzip_bytes: Size of the .tflite after gzip.
        measures: All measured values, by name.
        hyperparameters: Hyperparameter values, by name.
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
        """The metric, negated if more of it is better, so that less is better."""
        return -self.accuracy if self.mode == "max" else self.accuracy

    @property
    def sparsity(self) -> float | None:
        """The sparsity of the file, 0 to 1; `None` if it was not measured."""
        return self.measures.get("sparsity")

    def is_worse_than(self, other: SearchTrial) -> bool:
        """Return True if `other` is no worse in metric and size, and better in one."""
        mine, others = ((trial.gzip_bytes, trial.badness) for trial in (self, other))
        # Equal trials do not dominate each other, or both would vanish.
        return others != mine and all(o <= m for o, m in zip(others, mine, strict=True))

    @property
    def settings(self) -> dict[str, str]:
        """The hyperparameter values formatted for display, by name."""
        return {
            name: f"{value:.3g}" if isinstance(value, float) else str(value)
            for name, value in self.hyperparameters.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain data, ready for JSON."""
        return {
            "name": self.name,
            "folder": os.fspath(self.folder),
            "hyperparameters": dict(self.hyperparameters),
            "measures": dict(self.measures),
        }


@dataclass(frozen=True)
class ParetoFront(Printed):
    """The result of `pareto_front`, which prints as a table.

    Attributes:
        trials: All finished trials, in the order of their start.
        metric: Name of the metric that decides, such as `"accuracy"`.
        baseline_accuracy: The baseline's value of the metric, on the same data.
        baseline_gzip_bytes: Gzipped size of the baseline: of its weights as an .h5 file
            for a `CompressionHyperModel`.
        max_accuracy_drop: Drop of the metric that the search accepted; see
            `CompressionHyperModel`.
        mode: `"max"` if more of the metric is better, `"min"` if less is.
        baseline_name: What the baseline is: `"baseline"`, or `"best trial"` for a
            hypermodel of your own.

    Example:

    ```python
    front = kpk.pareto_front("out/search")
    front.smallest_within(accuracy_drop=0.01).folder  # with its model.tflite
    front.best_under(max_bytes=50_000).accuracy
    front.to_html("front.html")
    ```
    """

    trials: tuple[SearchTrial, ...]
    metric: str
    baseline_accuracy: float
    baseline_gzip_bytes: int
    max_accuracy_drop: float
    mode: str = "max"
    baseline_name: str = "baseline"

    @property
    def allowance(self) -> Allowance:
        """The accepted drop of the metric, with the limit that it results in."""
        return self._allowance(self.max_accuracy_drop)

    @property
    def reference_accuracy(self) -> float:
        """The reference metric of `hypervolume`: 0, or twice the baseline's error."""
        return 0.0 if self.mode == "max" else 2 * self.baseline_accuracy

    @property
    def axis_title(self) -> str:
        """The metric as the title of an axis, with a note if less is better."""
        title = self.metric.replace("_", " ").capitalize()
        return title if self.mode == "max" else f"{title} (less is better)"

    @property
    def points(self) -> tuple[SearchTrial, ...]:
        """The trials that no other one dominates, the smallest file first.

        Of several trials with equal metric and size, only the first is included.
        """
        best: dict[tuple[int, float], SearchTrial] = {}
        for trial in self.trials:
            if not any(map(trial.is_worse_than, self.trials)):
                best.setdefault((trial.gzip_bytes, trial.accuracy), trial)
        return tuple(best[key] for key in sorted(best))

    def hypervolume(
        self, *, min_accuracy: float | None = None, max_bytes: float | None = None
    ) -> float:
        """Return the hypervolume of the front: metric gain times halvings of the size.

        It is the area between the front and a reference point, with the size on a
        base-2 logarithmic scale. To compare searches, use the same reference point.

        Args:
            min_accuracy: Metric of the reference point, the worst value that counts.
                Defaults to `None`: 0, or twice the baseline's error.
            max_bytes: Gzipped size of the reference point. Defaults to `None`: that of
                the baseline.

        Returns:
            The area, which is 0 if no trial is better than the reference point.
        """
        worst = self.reference_accuracy if min_accuracy is None else min_accuracy
        area, floor = 0.0, worst if self.mode == "min" else -worst
        # By the logarithm, halving a small file counts as much as halving a large one.
        limit = math.log2(max_bytes or self.baseline_gzip_bytes)
        for point in self.points:
            halvings = limit - math.log2(point.gzip_bytes)
            if halvings > 0 and point.badness < floor:
                area += halvings * (floor - point.badness)
                floor = point.badness
        return area

    def size_ratio(self, trial: SearchTrial) -> float:
        """Return the gzipped size of the baseline divided by that of a trial.

        Args:
            trial: One of `trials`.
        """
        return self.baseline_gzip_bytes / trial.gzip_bytes

    def best_under(self, *, max_bytes: int) -> SearchTrial:
        """Return the trial with the best metric among those that are small enough.

        Args:
            max_bytes: Largest accepted size of the gzipped .tflite.

        Raises:
            ValueError: If no trial is small enough.
        """
        found = [point for point in self.points if point.gzip_bytes <= max_bytes]
        if not found:
            raise ValueError(
                f"No trial has a file of at most {max_bytes:,} bytes, gzipped. "
                f"{self._smallest()} Run more trials, or allow a higher sparsity."
            )
        return found[-1]  # On the front, a larger file is a better one.

    def smallest_within(self, *, accuracy_drop: float | None = None) -> SearchTrial:
        """Return the trial with the smallest file among those that are good enough.

        Args:
            accuracy_drop: Largest accepted drop from the baseline: absolute for a
                metric to maximize; relative for an error, so that 0.01 is one percent
                more. Defaults to `None`: `max_accuracy_drop`.

        Raises:
            ValueError: If no trial is good enough.
        """
        drop = self.max_accuracy_drop if accuracy_drop is None else accuracy_drop
        allowance = self._allowance(drop)
        for point in self.points:
            if allowance.holds(point.accuracy):  # The smallest comes first.
                return point
        raise ValueError(
            f"No trial comes within {allowance.amount} of the {self.metric} of the "
            f"{self.baseline_name}, {self.baseline_accuracy:.4f}. {self._best()} Run "
            "more trials, or allow a lower sparsity."
        )

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw all trials and the front.

        Args:
            path: Where to write the picture; the extension selects the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_front", self, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write an HTML page on which each trial shows its hyperparameters.

        Args:
            path: Where to write the page. It needs no other file and no network.

        Raises:
            OSError: If the path cannot be written.
        """
        write_page("front_page", self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the front as plain data, ready for JSON."""
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

    def _blocks(self) -> tuple[Table]:
        points = self.points
        # A hypermodel of the user's own may have neither.
        extra = {"sparsity": [_percent(point.sparsity) for point in points]}
        extra["quantization"] = [
            str(point.hyperparameters.get("quantization", "")) for point in points
        ]
        extra = {name: texts for name, texts in extra.items() if any(texts)}
        return (
            Table(
                f"Pareto front: {len(points)} of {len(self.trials)} trials; "
                f"{self.baseline_name} {self.baseline_accuracy:.4f}, "
                f"{bytes_text(self.baseline_gzip_bytes)}",
                ("trial", self.metric, "gzipped", "ratio", *extra),
                [
                    (*self._row(point), *texts)
                    for point, *texts in zip(points, *extra.values(), strict=True)
                ],
                {
                    "gzipped": shares([point.gzip_bytes for point in points]),
                    "sparsity": [point.sparsity for point in points],
                },
            ),
        )

    def _picture(self) -> str:
        return chart("front", self)

    def _allowance(self, drop: float) -> Allowance:
        return Allowance(self.baseline_accuracy, drop, self.mode)

    def _row(self, trial: SearchTrial) -> Sequence[str]:
        return (
            trial.name,
            f"{trial.accuracy:.4f}",
            f"{trial.gzip_bytes:,}",
            f"{self.size_ratio(trial):.1f}x",
        )

    def _smallest(self) -> str:
        return f"The smallest has {self.points[0].gzip_bytes:,}."

    def _best(self) -> str:
        return f"The best has {self.points[-1].accuracy:.4f}."


def _percent(sparsity: float | None) -> str:
    return "" if sparsity is None else percent(sparsity)


def visible_scores(front: ParetoFront) -> tuple[float, float]:
    """Return the lowest and the highest value of the metric for a picture.

    A few failed trials would otherwise squeeze all others into a line.
    """
    sign = 1 if front.mode == "max" else -1
    scores = [sign * trial.accuracy for trial in front.trials]
    marks = [sign * front.baseline_accuracy, sign * front.allowance.limit]
    near = [*(sign * point.accuracy for point in front.points), *marks]
    best, worst = max(*scores, *marks), min(near)
    spread = max(near) - worst
    least = max(near) - (_FAR_OUT * spread if spread else 0.01)
    low, high = sorted((sign * best, sign * max(least, min(*scores, worst))))
    return low, high
