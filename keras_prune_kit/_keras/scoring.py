"""Keras' own metrics for what some other runtime predicted."""

from __future__ import annotations

from typing import Any

from keras_prune_kit._keras.compiling import fresh_metrics
from keras_prune_kit._keras.models import world


def scorer(model: Any, predictions: Any) -> Any:
    """A model that takes predictions as they are, with the metrics of another.

    So Keras itself scores what some other runtime predicted.

    Args:
        model: A compiled model.
        predictions: What its outputs look like: an array, or a list of them.
    """
    layers, config = world(model).layers, model._compile_config.config
    arrays = predictions if isinstance(predictions, list) else [predictions]
    names = getattr(model, "output_names", None) or [None] * len(arrays)
    inputs = [layers.Input(array.shape[1:], dtype=array.dtype.name) for array in arrays]
    outputs = [
        layers.Activation("linear", name=name)(tensor)
        for name, tensor in zip(names, inputs, strict=True)
    ]
    if len(arrays) == 1:
        inputs, outputs = inputs[0], outputs[0]
    passthrough = world(model).Model(inputs, outputs)
    passthrough.compile(
        loss=config.get("loss"),
        loss_weights=config.get("loss_weights"),
        metrics=fresh_metrics(config.get("metrics")),
        weighted_metrics=fresh_metrics(config.get("weighted_metrics")),
    )
    return passthrough
