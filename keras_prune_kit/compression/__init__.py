"""The whole job in one call: prune, fine-tune, quantize, export, measure."""

from keras_prune_kit.compression.compress import compress

__all__ = ["compress"]
