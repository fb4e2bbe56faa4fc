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

    Args:
        call: The call.
        flows: Its inputs.
        width: The number of channels.
    """
    layer = call.operation
    weights: list[Any] = list(getattr(layer, "weights", ()))
    sizes = _sizes(layer, width) if weights else {}
    cuts = {id(w): tuple(size == width for size in w.shape) for w in weights}
    # Entries that only happen to be as large stay as they are.
    one_by_one = [{key: size} for key, size in sizes.items()]
    trials = [Trial(cuts, entries) for entries in ({}, *one_by_one, sizes)]
    for trial in trials:
        try:
            if _is_halved(call, flows, width, trial):
                return trial
        except Exception:  # A custom layer can raise any error.
            continue
    return None


def _is_halved(
    call: _keras.Call, flows: Sequence[Flow], width: int, trial: Trial
) -> bool:
    """Return True if half of the channels give half of the outputs."""
    rng = np.random.default_rng(0)
    arrays = [_samples(flow, rng) for flow in flows]
    halves = [a[..., ::2] if a.shape[-1] == width else a for a in arrays]
    layer = call.operation
    whole = half = layer
    if trial.cuts:
        # Copies, as a call may change the weights.
        whole, half = _keras.copy_layer(layer), _keras.copy_layer(layer, trial.entries)
        for copied, inputs in ((whole, arrays), (half, halves)):
            _keras.computed(call, copied, inputs)  # This builds it.
        _keras.copy_state(layer, whole)
        for old, new in zip(layer.weights, half.weights, strict=True):
            steps = [2 if is_cut else 1 for is_cut in trial.cuts[id(old)]]
            new.assign(_keras.as_array(old)[tuple(slice(None, None, s) for s in steps)])
    expected = _keras.computed(call, whole, arrays)[..., ::2]
    got = _keras.computed(call, half, halves)
    spread = float(np.std(expected)) if expected.size else 0.0
    return expected.shape == got.shape and np.allclose(
        expected, got, atol=_TOLERANCE * max(spread, 1e-6), rtol=_TOLERANCE
    )


def _samples(flow: Flow, rng: np.random.Generator) -> np.ndarray:
    """Return values of several scales, some of them zero, as masks look for zeros."""
    shape = (4, *(size or 4 for size in flow.shape))
    scales = np.array([1.0, 1.0, 10.0, 0.1]).reshape(4, *[1] * len(flow.shape))
    values = rng.normal(size=shape) * scales
    values[1] *= rng.random(shape[1:]) < 0.3
    return values


def _sizes(layer: Any, width: int) -> dict[str, int]:
    """Return the entries of a configuration that may be the number of channels."""
    half = len(range(0, width, 2))
    return {
        key: half
        for key, value in layer.get_config().items()
        if type(value) is int and value == width and key not in ("axis", "seed")
    }
