"""The bridge to tensorflow-model-optimization ("TFMOT"), for `tf_keras` models.

It covers what TFMOT's guides on pruning, quantization and clustering do, in fewer lines
and on nested models. TFMOT is imported on first use, and `tf.keras` is unchanged by it.

- `wrap`: Copy a `tf_keras` model with TFMOT's pruning wrapper around the layers to
  prune.
- `callbacks`: Return the callbacks that the training of a wrapped model needs.
- `LoopPruning`: Prunes a wrapped model in a custom training loop.
- `strip`: Copy a wrapped or clustered model without its wrappers, nested models
  included.
- `quantize_aware`: Copy a `tf_keras` model for quantization-aware training in int8.
- `strip_quantization`: Copy a quantization-aware `tf_keras` model as a plain float
  model.
- `cluster`: Copy a `tf_keras` model so that it trains with few distinct values per
  kernel.
- `load`: Load a wrapped, clustered or quantization-aware model, ready for more
  training.
- `PrunableDense`: A Dense layer of `tf_keras` whose bias can be pruned too.
- `Wrapped`: A wrapped model and the plan of what is pruned.
- `Converted`: A model converted for quantization-aware or clustered training, and a
  report.
- `LayerReport`: The converted and the skipped layers of a model.
"""

from typing import Any

from keras_prune_kit._tools.missing_names import missing_name
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
    # On first use: its base class is in tf_keras, which must not be imported earlier.
    if name == "PrunableDense":
        return prunable_dense()
    raise missing_name(__name__, name, __all__)
