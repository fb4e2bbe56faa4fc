"""Trials of layers that no rule knows: do they treat each channel alone?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import Flow

_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Trial:
    """The parts that follow the channels in a layer that treats each of them alone.

    Attributes:
        cuts: For each weight, by its id, True for the axes that are cut.
        entries: The entries of the configuration that are their number.
    """

    cuts: dict[int, tuple[bool, ...]]
    entries: dict[str, Any]


def tried(call: _keras.Call, flows: Sequence[Flow], width: int) -> Trial | None:
    """Compute a call with every other channel; `None` unless that gives half of it.

    The layer itself is not called if it has weights, but a copy: a call may change
    them.
    """
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(2, *(size or 4 for size in flow.shape[:-1]), flow.shape[-1]))
        for flow in flows
    ]
    halves = [a[..., ::2] if a.shape[-1] == width else a for a in arrays]
    layer = call.operation
    weights = list(getattr(layer, "weights", ()))
    cuts = {id(w): tuple(size == width for size in w.shape) for w in weights}
    try:
        entries: dict[str, Any] = {}
        if weights:
            config = layer.get_config()
            entries = {k: v for k, v in config.items() if _is_size(k, v, width)}
            counts = dict.fromkeys(entries, len(range(0, width, 2)))
            whole, half = _keras.copy_layer(layer), _keras.copy_layer(layer, counts)
            expected, got = (
                _keras.computed(call, whole, arrays),
                _keras.computed(call, half, halves),
            )
            _keras.copy_state(layer, whole)
            for old, new in zip(weights, half.weights, strict=True):
                axes = tuple(slice(None, None, 2 if c else 1) for c in cuts[id(old)])
                new.assign(_keras.as_array(old)[axes])
        else:
            whole = half = layer
        expected, got = (
            _keras.computed(call, whole, arrays),
            _keras.computed(call, half, halves),
        )
    except Exception:  # A custom layer can raise any error.
        return None
    expected = expected[..., ::2]
    spread = float(np.std(expected)) if expected.size else 0.0
    is_equal = expected.shape == got.shape and np.allclose(
        expected, got, atol=_TOLERANCE * max(spread, 1e-6), rtol=_TOLERANCE
    )
    return Trial(cuts, entries) if is_equal else None


def _is_size(key: str, value: Any, width: int) -> bool:
    return type(value) is int and value == width and key not in ("axis", "seed")
