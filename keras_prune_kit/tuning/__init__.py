"""Searching: KerasTuner finds the smallest file that is good enough."""

from keras_prune_kit.tuning.front import pareto_front
from keras_prune_kit.tuning.hyper_model import CompressionHyperModel
from keras_prune_kit.tuning.objectives import accuracy_size_score, smallest_within
from keras_prune_kit.tuning.tuner import CompressionTuner

__all__ = [
    "CompressionHyperModel",
    "CompressionTuner",
    "accuracy_size_score",
    "pareto_front",
    "smallest_within",
]
