"""The bridge to tensorflow-model-optimization ("TFMOT"), for `tf_keras` models.

Everything that TFMOT's pruning, quantization and clustering guides do, in fewer
lines, on models of any depth. TFMOT is imported when something here first needs it,
and leaves `tf.keras` as it was.
"""

from typing import Any

from keras_prune_kit.reports import Converted, LayerReport
from keras_prune_kit.tfmot.clustering import cluster
from keras_prune_kit.tfmot.loops import LoopPruning
from keras_prune_kit.tfmot.prunable_dense import prunable_dense
from keras_prune_kit.tfmot.quantization import quantize_aware
from keras_prune_kit.tfmot.records import Wrapped
from keras_prune_kit.tfmot.saving import load
from keras_prune_kit.tfmot.stripping import strip_quantization
from keras_prune_kit.tfmot.training import callbacks
from keras_prune_kit.tfmot.wrapping import strip, wrap

PrunableDense: Any

__all__ = [
    "Converted",
    "LayerReport",
    "LoopPruning",
    "PrunableDense",
    "Wrapped",
    "callbacks",
    "cluster",
    "load",
    "quantize_aware",
    "strip",
    "strip_quantization",
    "wrap",
]


def __getattr__(name: str) -> Any:
    # A class cannot derive from tf_keras's before that is imported.
    if name == "PrunableDense":
        return prunable_dense()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
