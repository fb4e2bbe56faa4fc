"""The comparison of several models and files on the same data."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from keras_prune_kit.reports.environment import Environment
from keras_prune_kit.reports.measurement import Measurement, check_measurement
from keras_prune_kit.reports.printed import Notes, Printed, Table, shares
from keras_prune_kit.reports.rendering import chart, draw, write_page
from keras_prune_kit.reports.samples import Samples
from keras_prune_kit.reports.tables import (
    count_text,
    markdown_table,
    percent,
)


@dataclass(frozen=True)
class Comparison(Printed):
    """The result of `compare`, which prints as tables.

    Attributes:
        measurements: One per model; the first is the reference of the size ratios.
        environment: The machine and package versions of the measurements.
        latency_runs: Number of runs per latency, which is their median.
        samples: Each model's predictions for a few samples; `None` unless the models
            are classifiers.

    Example:

    ```python
    comparison = kpk.compare({"baseline": model, "int8": "model.tflite"}, x, y)
    comparison.size_ratio(comparison.measurements[1])  # 3.9: gzipped sizes
    comparison.plot_tradeoff("tradeoff.png")
    ```
    """

    measurements: tuple[Measurement, ...]
    environment: Environment
    latency_runs: int = 0
    samples: Samples | None = field(default=None, repr=False)

    @property
    def metric(self) -> str:
        """The name of the metric that decides."""
        return self.measurements[0].metric

    def size_ratio(self, measurement: Measurement) -> float:
        """Return the gzipped size of the first model divided by that of another.

        Args:
            measurement: One of `measurements`.
        """
        check_measurement("measurement", measurement)
        return self.measurements[0].gzip_bytes / measurement.gzip_bytes

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes that explain how the figures were measured."""
        notes = [
            f"gzipped: {self.environment.encoder}; ratio: gzipped, first row / this",
            "sparse: gzipped, if weights were stored as a bit mask and nonzero values",
        ]
        if any(m.bound_bytes is not None for m in self.measurements):
            notes.append("bound: gzipped, if weights of a .tflite were coded ideally")
        if any(m.file == ".h5" for m in self.measurements):
            notes.append(
                ".h5: the weights of a Keras model, without the optimizer's state"
            )
        if any(m.latency_ms is not None for m in self.measurements):
            notes.append(
                f"latency: .tflite, one sample, one thread, median of "
                f"{self.latency_runs} runs in turns"
            )
        if any(m.macs is not None for m in self.measurements):
            notes.append("MACs: multiply-accumulate operations for one sample")
        machine = self.environment
        cores = f"{machine.cpus} core" + "s" * (machine.cpus != 1)
        # A latency says nothing without the machine.
        notes.append(f"machine: {machine.processor}, {cores}, {machine.system}")
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, ready for JSON."""
        return {
            "metric": self.metric,
            "measurements": [
                {**m.to_dict(), "ratio": self.size_ratio(m)} for m in self.measurements
            ],
            "latency_runs": self.latency_runs,
            "latency_threads": 1,
            "environment": asdict(self.environment),
        }

    def to_markdown(self) -> str:
        """Return the comparison as a Markdown table, with notes below."""
        table = whole_table(self)
        notes = "\n".join(f"- {note}" for note in self.notes)
        return f"{markdown_table(table.columns, table.rows)}\n\n{notes}\n"

    def plot_sizes(self, path: str | os.PathLike[str]) -> None:
        """Draw the gzipped size of each model as a bar.

        Args:
            path: Where to write the picture; the extension selects the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_sizes", self.measurements, path)

    def plot_accuracy(self, path: str | os.PathLike[str]) -> None:
        """Draw the score of each model as a bar.

        Args:
            path: As for `plot_sizes`.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_scores", self.measurements, path)

    @property
    def are_timed(self) -> bool:
        """True if the latencies of several files were measured."""
        return sum(m.latency_ms is not None for m in self.measurements) > 1

    def plot_latency(self, path: str | os.PathLike[str]) -> None:
        """Draw the score of each .tflite against its latency.

        Args:
            path: As for `plot_sizes`.

        Raises:
            OSError: If the path cannot be written.
            ValueError: If no latency was measured.
        """
        timed = [m for m in self.measurements if m.latency_ms is not None]
        if not timed:
            raise ValueError(
                "No latency was measured: it needs a .tflite and latency_runs of at "
                "least 1."
            )
        draw("plot_latency", timed, path)

    def plot_tradeoff(self, path: str | os.PathLike[str]) -> None:
        """Draw the score of each model against its gzipped size.

        Args:
            path: As for `plot_sizes`.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_tradeoff", self.measurements, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page, which needs no other file and no network.

        Args:
            path: Where to write the page.

        Raises:
            OSError: If the path cannot be written.
        """
        write_page("comparison_page", self, path)

    def _blocks(self) -> list[Table | Notes]:
        tables = [self._table("Files", _QUALITY), self._table("Weights", _WEIGHTS)]
        metrics = list(self.measurements[0].scores)
        if len(metrics) > 1:
            rows = [
                (m.name, *(f"{m.scores[metric]:.4f}" for metric in metrics))
                for m in self.measurements
            ]
            tables.insert(1, Table("Metrics", ("name", *metrics), rows))
        return [*tables, Notes(self.notes)]

    def _picture(self) -> str:
        return chart("tradeoff", self)

    def _table(self, title: str, cells: Sequence[tuple[str, _Cell]]) -> Table:
        """Return a table of some cells, with `{metric}` filled in its headings."""
        columns = [heading.format(metric=self.metric) for heading, _ in cells]
        rows = [[cell(self, m) for _, cell in cells] for m in self.measurements]
        bars = {
            "gzipped": shares([m.gzip_bytes for m in self.measurements]),
            "sparsity": [m.sparsity for m in self.measurements],
        }
        own = {name: bars[name] for name in bars if name in columns}
        return Table(title, columns, rows, own)


def whole_table(comparison: Comparison) -> Table:
    """Return all columns in one table, for what is wider than a terminal."""
    return comparison._table("Models and files", _QUALITY + _WEIGHTS[1:])


_Cell = Callable[[Comparison, Measurement], str]

_QUALITY: tuple[tuple[str, _Cell], ...] = (
    ("file", lambda _, m: f"{m.name} {m.file}"),
    ("{metric}", lambda _, m: f"{m.score:.4f}"),
    ("bytes", lambda _, m: f"{m.file_bytes:,}"),
    ("gzipped", lambda _, m: f"{m.gzip_bytes:,}"),
    ("ratio", lambda c, m: f"{c.size_ratio(m):.2f}x"),
    ("MACs", lambda _, m: "" if m.macs is None else count_text(m.macs)),
    ("ms", lambda _, m: "" if m.latency_ms is None else f"{m.latency_ms:.3f}"),
)
_WEIGHTS: tuple[tuple[str, _Cell], ...] = (
    ("file", lambda _, m: m.name),
    ("parameters", lambda _, m: f"{m.parameters:,}"),
    ("not zero", lambda _, m: f"{m.nonzero_parameters:,}"),
    ("sparsity", lambda _, m: percent(m.sparsity)),
    ("sparse", lambda _, m: f"{m.sparse_gzip_bytes:,}"),
    ("bound", lambda _, m: "" if m.bound_bytes is None else f"{m.bound_bytes:,.0f}"),
    ("x bound", lambda _, m: "" if m.bound_ratio is None else f"{m.bound_ratio:.2f}"),
)
