"""The result of a compression: all stages from the baseline to the shipped file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit._tools.files import replacing_folder
from keras_prune_kit.reports.comparison import Comparison
from keras_prune_kit.reports.measurement import Measurement, check_measurement
from keras_prune_kit.reports.printed import Notes, Printed, Table, shares
from keras_prune_kit.reports.rendering import draw, write_page
from keras_prune_kit.reports.search import Search
from keras_prune_kit.reports.sparsity import SparsityReport
from keras_prune_kit.reports.tables import count_text, percent

_FILES = (
    *("pruned.keras", "model.tflite"),
    *("report.txt", "report.json", "report.html", "sizes.png"),
)

_FASTER = 1.05  # Less is within the noise of a measurement.


@dataclass(frozen=True)
class CompressionReport(Printed):
    """The result of `compress`, which prints as a table.

    Attributes:
        comparison: The stages side by side: the baseline first, the file to ship last.
        model: The pruned Keras model. After quantization-aware training, it
            computes with the weights of the file.
        tflite: The exported `TFLiteModel`.
        sparsity_report: The zeros of each pruned weight.
        settings: Arguments of `compress` that repeat the run.
        search: The attempts for `target="smallest"`, otherwise `None`.

    Example:

    ```python
    report = kpk.compress(model, (x, y), validation_data=(x_val, y_val))
    report.ratio, report.final.score  # (9.1, 0.9912)
    report.save("out")
    ```
    """

    comparison: Comparison
    model: Any = field(repr=False)
    tflite: Any = field(repr=False)
    sparsity_report: SparsityReport = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    search: Search | None = field(default=None, repr=False)

    @property
    def stages(self) -> tuple[Measurement, ...]:
        """The measured stages: the baseline first, the file to ship last."""
        return self.comparison.measurements

    @property
    def metric(self) -> str:
        """The name of the metric that decides, such as `"accuracy"`."""
        return self.comparison.metric

    @property
    def baseline(self) -> Measurement:
        """The measurement of the original model."""
        return self.stages[0]

    @property
    def final(self) -> Measurement:
        """The measurement of the file to ship."""
        return self.stages[-1]

    @property
    def ratio(self) -> float:
        """The gzipped size of the baseline divided by that of the file to ship."""
        return self.size_ratio(self.final)

    @property
    def speedup(self) -> float | None:
        """The latency of the whole model's .tflite divided by that of the shipped one.

        `None` if fewer than two files were timed.
        """
        timed = [s.latency_ms for s in self.stages if s.latency_ms is not None]
        return timed[0] / timed[-1] if len(timed) > 1 and timed[-1] else None

    @property
    def loses_channels(self) -> bool:
        """True if whole channels left the model."""
        before, after = self.baseline.macs, self.final.macs
        return before is not None and after is not None and after < 0.99 * before

    @property
    def gain(self) -> str:
        """The gain in words, such as `"9.1x smaller"`; how much faster if it is."""
        smaller = f"{self.ratio:.1f}x smaller"
        if not self.loses_channels or (self.speedup or 0) < _FASTER:
            return smaller
        return f"{smaller}, {self.speedup:.1f}x faster"

    def size_ratio(self, stage: Measurement) -> float:
        """Return the gzipped size of the baseline divided by that of a stage.

        Args:
            stage: One of `stages`.
        """
        check_measurement("stage", stage)
        return self.comparison.size_ratio(stage)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, ready for JSON."""
        compared = self.comparison.to_dict()
        return {
            "metric": compared.pop("metric"),
            "stages": compared.pop("measurements"),
            **compared,
            "pruned": self.sparsity_report.to_dict(),
            "settings": dict(self.settings),
            **({} if self.search is None else {"search": self.search.to_dict()}),
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw sizes and scores of all stages as bars.

        Args:
            path: Where to write the picture; the extension selects the format.

        Raises:
            OSError: If the path cannot be written.
        """
        draw("plot_sizes_and_scores", self.stages, path)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page, which needs no other file and no network.

        Args:
            path: Where to write the page.

        Raises:
            OSError: If the path cannot be written.
        """
        write_page("compression_page", self, path)

    def save(self, directory: str | os.PathLike[str]) -> dict[str, Path]:
        """Write both models and the report as text, JSON, HTML and a picture.

        Args:
            directory: Folder to write; created if it does not exist. Files of the same
                names are replaced once all new ones are written.

        Returns:
            The paths of `pruned.keras`, `model.tflite`, `report.txt`, `report.json`,
            `report.html` and `sizes.png`, by name.

        Raises:
            OSError: If the directory cannot be written.
        """
        folder = as_path("directory", directory)
        # A failure in one file must not leave a mix of old and new ones.
        with replacing_folder(folder) as part:
            pruned, tflite, text, data, page, picture = (part / n for n in _FILES)
            self.model.save(pruned)
            self.tflite.save(tflite)
            text.write_text(f"{self}\n\n{self.sparsity_report}\n", encoding="utf-8")
            content = json.dumps(self.to_dict(), indent=2) + "\n"
            data.write_text(content, encoding="utf-8")
            self.to_html(page)
            self.plot(picture)
        return {name: folder / name for name in _FILES}

    def _blocks(self) -> list[Table | Notes]:
        table = Table(
            f"Compression: {self.gain}, {self.metric} "
            f"{self.baseline.score:.4f} -> {self.final.score:.4f}",
            ("file", self.metric, "gzipped", "ratio", "sparsity", "MACs", "ms"),
            [self._row(stage) for stage in self.stages],
            {
                "gzipped": shares([stage.gzip_bytes for stage in self.stages]),
                "sparsity": [stage.sparsity for stage in self.stages],
            },
        )
        parts: list[Table | Notes] = [table]
        if self.final.bound_bytes is not None:
            bound = (
                f"bound: {self.final.bound_bytes:,.0f} bytes if each weight were coded "
                f"ideally; gzip needs {self.final.bound_ratio:.2f} times that"
            )
            parts.append(Notes([bound]))
        if self.search is not None:
            parts += self.search._blocks()
        return parts

    def _picture(self) -> str:
        return self.comparison._picture()

    def _row(self, stage: Measurement) -> Sequence[str]:
        return (
            f"{stage.name} {stage.file}",
            f"{stage.score:.4f}",
            f"{stage.gzip_bytes:,}",
            f"{self.size_ratio(stage):.2f}x",
            percent(stage.sparsity),
            "" if stage.macs is None else count_text(stage.macs),
            "" if stage.latency_ms is None else f"{stage.latency_ms:.3f}",
        )
