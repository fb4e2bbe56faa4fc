"""Callbacks that forward the hooks of `fit` to the engines, in either world."""

from keras_prune_kit.callbacks.backup_and_restore import BackupAndRestore
from keras_prune_kit.callbacks.clustering_callback import ClusteringCallback
from keras_prune_kit.callbacks.gzip_size_logger import GzipSizeLogger
from keras_prune_kit.callbacks.pruning_callback import PruningCallback
from keras_prune_kit.callbacks.sparsity_summaries import SparsitySummaries
from keras_prune_kit.callbacks.target_sparsity_checkpoint import (
    TargetSparsityCheckpoint,
)

__all__ = [
    "BackupAndRestore",
    "ClusteringCallback",
    "GzipSizeLogger",
    "PruningCallback",
    "SparsitySummaries",
    "TargetSparsityCheckpoint",
]
