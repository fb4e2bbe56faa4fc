"""Keras metrics and loss for predictions of another runtime, such as TFLite."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.compiling import fresh_metrics
from keras_prune_kit._keras.models import world

_PREDICTIONS, _MASKS = "keras_prune_kit_predictions", "keras_prune_kit_masks"


def scorer(model: Any) -> Any:
    """Return a model that passes predictions through and has the metrics of another.

    Its outputs have the names of the other model's, so that Keras assigns losses,
    metrics and labels to them by the same rules.

    Args:
        model: A compiled model.

    Returns:
        A compiled model, to be evaluated on predictions in the structure of the other
        model's outputs, or on the result of `with_masks`.
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
            # Not the global policy: float16 would round the predictions.
            super().__init__(dtype="float32", **options)

        def call(self, inputs: Any) -> Any:
            # The predictions of a model may themselves be a dict.
            if not isinstance(inputs, dict) or set(inputs) != {_PREDICTIONS, _MASKS}:
                return inputs
            return masked(inputs[_PREDICTIONS], inputs[_MASKS])

    def masked(predictions: Any, masks: dict[str, Any]) -> Any:
        tf = sys.modules["tensorflow"]
        # Keras reads masks from this attribute. Set it on copies, not on the inputs.
        leaves = [tf.identity(leaf) for leaf in tf.nest.flatten(predictions)]
        for place, mask in masks.items():
            leaves[int(place)]._keras_mask = mask
        return tf.nest.pack_sequence_as(predictions, leaves)

    return Passthrough


def output_masks(model: Any, x: Any) -> dict[str, np.ndarray]:
    """Return the Keras masks of a model's outputs, which exclude padding from scores.

    Args:
        model: A Keras model.
        x: Samples of its inputs.

    Returns:
        A boolean array for each output that has a mask, by the index of the output.
    """
    outputs = sys.modules["tensorflow"].nest.flatten(model(x, training=False))
    masks = {str(i): getattr(out, "_keras_mask", None) for i, out in enumerate(outputs)}
    return {place: np.asarray(m) for place, m in masks.items() if m is not None}


def with_masks(predictions: Any, masks: dict[str, np.ndarray]) -> Any:
    """Combine predictions and `output_masks` into an input of a `scorer` model."""
    return {_PREDICTIONS: predictions, _MASKS: masks} if masks else predictions
