"""Masks of attention: constants near minus infinity, kept out of ranges."""

from keras_prune_kit.tflite.masking.bounding import Bounded, bound_masks

__all__ = ["Bounded", "bound_masks"]
