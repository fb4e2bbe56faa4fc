"""Reduction of masks near minus infinity, so that scores keep a quantization range."""

from keras_prune_kit.tflite.masking.bounding import Bounded, bound_masks

__all__ = ["Bounded", "bound_masks"]
