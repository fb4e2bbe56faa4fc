"""Reductions of a .tflite file's size that keep its outputs bit-identical."""

from keras_prune_kit.tflite.shrinking.shrink import shrink

__all__ = ["shrink"]
