"""Gradients for the criteria that need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.pruner.pruned_weight import PrunedWeight


class Gradients:
    """Gradients of a model's loss on a sample, for the criteria that need them.

    Args:
        model: A model, which must be compiled if any criterion needs gradients.
        weights: All pruned weights.
        data: The sample, `(x, y)`, or `None`.

    Raises:
        ValueError: If a criterion needs gradients and there is no sample.
    """

    def __init__(self, model: Any, weights: Sequence[PrunedWeight], data: Any) -> None:
        self._weights = weights
        self._probe: _keras.GradientProbe | None = None
        blind = [w.path for w in weights if w.gradients_needed is not None]
        if not blind:
            return
        if data is None:
            raise ValueError(
                f"The criterion of {blind[0]} needs gradients, and so a sample of the "
                "training data: pass data=(x, y)."
            )
        variables = [weight.variable for weight in weights]
        self._probe = _keras.GradientProbe(model, data, variables)

    def give(self, due: Sequence[PrunedWeight]) -> None:
        """Compute the current gradients for the criteria of the due weights."""
        if self._probe is None:
            return
        # A set, so that criteria with the same needs share one pass over the sample.
        for needed in {weight.gradients_needed for weight in due}:
            if needed is None:
                continue
            means = self._probe.mean(needed.statistic, needed.batch_size)
            for weight, gradients in zip(self._weights, means, strict=True):
                if weight.gradients_needed == needed:
                    weight.set_gradients(gradients)
