"""Pictures of the records."""

from keras_prune_kit.plots.bars import plot_scores, plot_sizes, plot_sizes_and_scores
from keras_prune_kit.plots.front import plot_front
from keras_prune_kit.plots.run import plot_sparsity
from keras_prune_kit.plots.sensitivity import plot_sensitivity
from keras_prune_kit.plots.tradeoff import plot_tradeoff
from keras_prune_kit.plots.weights import plot_weights

__all__ = [
    "plot_front",
    "plot_scores",
    "plot_sensitivity",
    "plot_sizes",
    "plot_sizes_and_scores",
    "plot_sparsity",
    "plot_tradeoff",
    "plot_weights",
]
