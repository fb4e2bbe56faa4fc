"""The merging of LoRA adapters into the pruned kernels under them."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.reports import LayerReport


def merge_lora(model: Any) -> LayerReport:
    """Merge the LoRA adapters of a model into their kernels, and keep the zeros.

    `layer.enable_lora(rank)` of Keras 3 freezes a kernel and trains A and B beside it;
    the layer computes with `kernel + A @ B * alpha / rank`. Pruning zeroes the frozen
    kernel, but the sum has no zeros, and it is the sum that Keras saves and that is
    exported. Here each kernel becomes the sum where it is not 0 and stays 0 where it
    is, and B becomes 0. What A and B add to zeros is lost, so evaluate the model
    afterwards. It can be trained further: the adapters start anew.

    Args:
        model: A built model of Keras 3 with adapters. It is changed in place.

    Returns:
        A report of the merged weights and their zeros.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If the model is not built, or no float kernel has an adapter.

    Example:

    >>> import keras
    >>> dense = keras.layers.Dense(4, name="head")
    >>> model = keras.Sequential([keras.Input((8,)), dense])
    >>> dense.enable_lora(2)
    >>> merge_lora(model).layers
    (('head/kernel', 'merged, 0 of 32 zero'),)
    """
    _keras.world(model)
    _keras.check_built(model)
    done = []
    for adapted in _keras.adapted_weights(model):
        zeros = _keras.merge_adapter(adapted, model)
        size = adapted.total.size
        done.append((adapted.weight.path, f"merged, {zeros:,} of {size:,} zero"))
    if not done:
        raise ValueError(
            "merge_lora merges LoRA adapters of Keras 3 into float kernels. Received: "
            f"model '{model.name}', which has none. Call layer.enable_lora(rank) "
            "before training, or leave merge_lora out."
        )
    return LayerReport(tuple(done), ())
