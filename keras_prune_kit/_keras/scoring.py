"""Keras' own metrics for what some other runtime predicted."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.compiling import fresh_metrics
from keras_prune_kit._keras.models import world

_PREDICTIONS, _MASKS = "keras_prune_kit_predictions", "keras_prune_kit_masks"


def scorer(model: Any) -> Any:
    """A model that takes predictions as they are, with the metrics of another.

    It calls its outputs what the other model does, so Keras finds the loss, the metrics
    and the labels of each by the same rules.

    Args:
        model: A compiled model.

    Returns:
        A compiled model, to be evaluated on predictions in the structure in which the
        other one gives them, or on `with_masks` of them.
    """
    passthrough = _passthrough_class(world(model).Model)(name=model.name)
    if getattr(model, "output_names", None):
        passthrough.output_names = list(model.output_names)
    config = model._compile_config.config
    passthrough.compile(
        loss=config.get("loss"),
        loss_weights=config.get("loss_weights"),
        metrics=fresh_metrics(config.get("metrics")),
        weighted_metrics=fresh_metrics(config.get("weighted_metrics")),
        run_eagerly=bool(config.get("run_eagerly")),
    )
    return passthrough


def _passthrough_class(base: Any) -> Any:
    class Passthrough(base):
        def __init__(self, **options: Any) -> None:
            super().__init__(dtype="float32", **options)

        def call(self, inputs: Any) -> Any:
            if not isinstance(inputs, dict) or set(inputs) != {_PREDICTIONS, _MASKS}:
                return inputs
            return masked(inputs[_PREDICTIONS], inputs[_MASKS])

    def masked(predictions: Any, masks: dict[str, Any]) -> Any:
        tf = sys.modules["tensorflow"]
        leaves = [tf.identity(leaf) for leaf in tf.nest.flatten(predictions)]
        for place, mask in masks.items():
            leaves[int(place)]._keras_mask = mask
        return tf.nest.pack_sequence_as(predictions, leaves)

    return Passthrough


def output_masks(model: Any, x: Any) -> dict[str, np.ndarray]:
    """Return which steps of a model's outputs are no padding, as Keras scores them.

    Args:
        model: A Keras model.
        x: Samples of its inputs.

    Returns:
        A boolean array for each output that has a mask, by the output's place.
    """
    outputs = sys.modules["tensorflow"].nest.flatten(model(x, training=False))
    masks = {str(i): getattr(out, "_keras_mask", None) for i, out in enumerate(outputs)}
    return {place: np.asarray(m) for place, m in masks.items() if m is not None}


def with_masks(predictions: Any, masks: dict[str, np.ndarray]) -> Any:
    """Join predictions and the masks of `output_masks` for a `scorer`."""
    return {_PREDICTIONS: predictions, _MASKS: masks} if masks else predictions
