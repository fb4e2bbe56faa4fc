"""Keras' own metrics for what some other runtime predicted."""

from __future__ import annotations

from typing import Any

from keras_prune_kit._keras.compiling import fresh_metrics
from keras_prune_kit._keras.models import world


def scorer(model: Any) -> Any:
    """A model that takes predictions as they are, with the metrics of another.

    It calls its outputs what the other model does, so Keras finds the loss, the metrics
    and the labels of each by the same rules.

    Args:
        model: A compiled model.

    Returns:
        A compiled model, to be evaluated on predictions in the structure in which the
        other one gives them.
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
            return inputs

    return Passthrough
