"""Pictures of the records, drawn with matplotlib."""

from keras_prune_kit.reports.plots.bars import (
    plot_scores,
    plot_sizes,
    plot_sizes_and_scores,
)
from keras_prune_kit.reports.plots.front import plot_front
from keras_prune_kit.reports.plots.run import plot_sparsity
from keras_prune_kit.reports.plots.sensitivity import plot_sensitivity
from keras_prune_kit.reports.plots.tradeoff import plot_latency, plot_tradeoff
from keras_prune_kit.reports.plots.weights import plot_weights

__all__ = [
    "plot_front",
    "plot_scores",
    "plot_sensitivity",
    "plot_sizes",
    "plot_sizes_and_scores",
    "plot_sparsity",
    "plot_latency",
    "plot_tradeoff",
    "plot_weights",
]
