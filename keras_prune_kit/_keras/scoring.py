"""Keras metrics and loss for predictions of another runtime, such as TFLite."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.compiling import fresh_metrics
from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.operations import ops_of, tree_of

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
    passthrough = _passthrough_class(world(model))(name=model.name)
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


def _passthrough_class(keras: Any) -> Any:
    class Passthrough(keras.Model):
        def __init__(self, **options: Any) -> None:
            # Not the global policy: float16 would round the predictions.
            super().__init__(dtype="float32", **options)

        def call(self, inputs: Any) -> Any:
            # The predictions of a model may themselves be a dict.
            if not isinstance(inputs, dict) or set(inputs) != {_PREDICTIONS, _MASKS}:
                return inputs
            return masked(inputs[_PREDICTIONS], inputs[_MASKS])

    def masked(predictions: Any, masks: dict[str, Any]) -> Any:
        tree = tree_of(keras)
        # Keras reads masks from the tensors. Set them on copies, not on the inputs.
        leaves = [ops_of(keras).copy(leaf) for leaf in tree.flatten(predictions)]
        for place, mask in masks.items():
            _set_mask(keras, leaves[int(place)], mask)
        return tree.pack_sequence_as(predictions, leaves)

    return Passthrough


def output_masks(model: Any, x: Any) -> dict[str, np.ndarray]:
    """Return the Keras masks of a model's outputs, which exclude padding from scores.

    Args:
        model: A Keras model.
        x: Samples of its inputs.

    Returns:
        A boolean array for each output that has a mask, by the index of the output.
    """
    keras = world(model)
    outputs = tree_of(keras).flatten(model(x, training=False))
    masks = {str(i): _mask_of(keras, output) for i, output in enumerate(outputs)}
    to_numpy = ops_of(keras).convert_to_numpy
    return {place: to_numpy(m) for place, m in masks.items() if m is not None}


def with_masks(predictions: Any, masks: dict[str, np.ndarray]) -> Any:
    """Combine predictions and `output_masks` into an input of a `scorer` model."""
    return {_PREDICTIONS: predictions, _MASKS: masks} if masks else predictions


def _mask_of(keras: Any, tensor: Any) -> Any:
    if keras.__name__ == "keras":
        return keras.src.backend.get_keras_mask(tensor)
    return getattr(tensor, "_keras_mask", None)


def _set_mask(keras: Any, tensor: Any, mask: Any) -> None:
    if keras.__name__ == "keras":
        # Tensors of JAX take no attributes; Keras knows where it looks for theirs.
        keras.src.backend.set_keras_mask(tensor, mask)
    else:
        tensor._keras_mask = mask
