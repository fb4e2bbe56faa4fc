"""Training a model as it will compute in int8 or int4, in either world."""

from keras_prune_kit.quantization.quantize_aware import (
    quantize_aware,
    strip_quantization,
)

__all__ = ["quantize_aware", "strip_quantization"]
