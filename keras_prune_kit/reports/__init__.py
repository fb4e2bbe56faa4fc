"""Frozen records of what was done: how they print, plot and save."""

from keras_prune_kit.reports.compression import CompressionReport, Stage
from keras_prune_kit.reports.sparsity import (
    Skipped,
    SparsityReport,
    WeightSparsity,
    skipped_lines,
)
from keras_prune_kit.reports.tables import percent, render_table, shape_text

__all__ = [
    "CompressionReport",
    "Skipped",
    "SparsityReport",
    "Stage",
    "WeightSparsity",
    "percent",
    "render_table",
    "shape_text",
    "skipped_lines",
]
