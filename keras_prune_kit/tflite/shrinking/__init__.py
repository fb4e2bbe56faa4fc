"""Making a .tflite file smaller without a change to what it computes."""

from keras_prune_kit.tflite.shrinking.shrink import shrink

__all__ = ["shrink"]
