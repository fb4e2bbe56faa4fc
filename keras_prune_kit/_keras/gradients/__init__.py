"""Gradients of a model's compiled loss, on each backend."""

from keras_prune_kit._keras.gradients.probe import GradientProbe

__all__ = ["GradientProbe"]
