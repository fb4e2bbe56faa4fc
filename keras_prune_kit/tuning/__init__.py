"""Search for the smallest sufficient .tflite file with KerasTuner."""

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
