"""The bridge to tensorflow-model-optimization ("TFMOT"), for `tf_keras` models.

Everything that TFMOT's pruning, quantization and clustering guides do, in fewer
lines, on models of any depth. TFMOT is imported when something here first needs it,
and leaves `tf.keras` as it was.
"""

from keras_prune_kit.tfmot.records import Converted, LayerReport, Wrapped
from keras_prune_kit.tfmot.wrapping import strip, wrap

__all__ = [
    "Converted",
    "LayerReport",
    "Wrapped",
    "strip",
    "wrap",
]
