"""Quantization-aware training for int8 and int4, in Keras 3 and in `tf_keras`."""

from keras_prune_kit.quantization.quantize_aware import (
    quantize_aware,
    strip_quantization,
)

__all__ = ["quantize_aware", "strip_quantization"]
