"""LoRA adapters of Keras 3 and the variables that they are added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit._keras.models import world
from keras_prune_kit._keras.operations import ops_of
from keras_prune_kit._keras.variables import variables_of
from keras_prune_kit._keras.weights import PrunableWeight, find_weights


@dataclass(frozen=True)
class Adapted:
    """A weight with a LoRA adapter, which computes as base + A @ B.

    Attributes:
        weight: The base, a frozen variable.
        total: The sum, as the layer computes it.
        second: B, with which the adapter is 0 if it is 0.
    """

    weight: PrunableWeight
    total: np.ndarray = field(repr=False)
    second: Any = field(repr=False)


def adapted_weights(model: Any) -> Iterator[Adapted]:
    """Yield each weight of a model that has an adapter.

    Args:
        model: A built Keras model of either world; only Keras 3 has adapters.
    """
    to_numpy = ops_of(world(model)).convert_to_numpy
    for found in find_weights(model):
        if isinstance(found, PrunableWeight) and found.is_adapted:
            # `kernel` of such a layer is computed; the variable is `_kernel`.
            total = getattr(found.layer, found.attribute)
            second = getattr(found.layer, f"lora_{found.attribute}_b")
            yield Adapted(found, to_numpy(total), second)


def merge_adapter(adapted: Adapted, model: Any) -> int:
    """Add an adapter to its base, except where that is 0, and return the zeros kept.

    Args:
        adapted: The weight.
        model: The model that it is of.
    """
    variables, base = variables_of(model), adapted.weight.variable
    value = variables.read(base)
    # A weight of nothing but zeros was initialized so.
    kept = value != 0 if np.any(value) else np.ones_like(value, bool)
    variables.write(base, np.where(kept, adapted.total, 0).astype(value.dtype))
    variables.write(adapted.second, np.zeros(adapted.second.shape, np.float32))
    return kept.size - int(np.count_nonzero(kept))
