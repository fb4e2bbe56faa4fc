"""Models that are pruned at once and repaired, to train them on or to ship them so."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import input_samples, length
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reconstruction import prune_at_once, reestimate_batch_norm
from keras_prune_kit.reconstruction.inputs import checked_arrays

_SAMPLES = 512


def repair_samples(model: Any, data: Any) -> Any:
    """Return up to 512 inputs to repair a model with, as the argument of its call.

    Args:
        model: A built model.
        data: Arrays `(x,)` or `(x, y)`, or a dataset.

    Raises:
        ValueError: If they do not match the model or are not finite.
    """
    # Of fewer arrays, some would occur more than once, and look like more data.
    count = min(_SAMPLES, length(data)) if isinstance(data, tuple) else _SAMPLES
    inputs = input_samples(data, count)
    arrays = list(inputs) if isinstance(inputs, tuple) else inputs
    return _keras.signature_of(model).pack(checked_arrays(model, arrays))


def repaired(model: Any, policy: PrunePolicy, inputs: Any) -> Any:
    """Return a copy of a model at the end of a policy, repaired without training.

    Args:
        model: A built model. It is not changed.
        policy: The policy.
        inputs: The result of `repair_samples`.
    """
    pruned = prune_at_once(model, policy, data=inputs)
    reestimate_batch_norm(pruned, model, data=inputs)
    return pruned
