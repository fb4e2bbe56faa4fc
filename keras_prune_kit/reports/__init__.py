"""Frozen records of results, which print as tables, plot and save themselves."""

from keras_prune_kit.reports.allowance import LEAST_DROP, Allowance, is_within
from keras_prune_kit.reports.clustering import ClusteringReport, WeightClusters
from keras_prune_kit.reports.comparison import Comparison
from keras_prune_kit.reports.compression import CompressionReport
from keras_prune_kit.reports.entropy import EntropyBound, TensorEntropy
from keras_prune_kit.reports.environment import Environment
from keras_prune_kit.reports.front import ParetoFront, SearchTrial
from keras_prune_kit.reports.layers import Converted, LayerReport
from keras_prune_kit.reports.measurement import Histogram, Measurement
from keras_prune_kit.reports.printed import Notes, Printed, Table
from keras_prune_kit.reports.reconstruction import (
    ReconstructionReport,
    RepairedWeight,
)
from keras_prune_kit.reports.samples import Prediction, Samples
from keras_prune_kit.reports.search import Attempt, Search
from keras_prune_kit.reports.sensitivity import SensitivityReport, WeightSensitivity
from keras_prune_kit.reports.sparsity import (
    Skipped,
    SparsityReport,
    WeightSparsity,
    skipped_lines,
    skipped_texts,
)
from keras_prune_kit.reports.tables import percent, render_table, shape_text

__all__ = [
    "LEAST_DROP",
    "Allowance",
    "Attempt",
    "ClusteringReport",
    "Comparison",
    "CompressionReport",
    "EntropyBound",
    "Environment",
    "Histogram",
    "Measurement",
    "Notes",
    "ParetoFront",
    "Prediction",
    "Printed",
    "ReconstructionReport",
    "RepairedWeight",
    "Samples",
    "Search",
    "SensitivityReport",
    "Converted",
    "LayerReport",
    "SearchTrial",
    "Skipped",
    "SparsityReport",
    "Table",
    "TensorEntropy",
    "WeightClusters",
    "WeightSensitivity",
    "WeightSparsity",
    "is_within",
    "percent",
    "render_table",
    "shape_text",
    "skipped_lines",
    "skipped_texts",
]
