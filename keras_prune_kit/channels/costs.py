"""The multiplications and parameters of a model, before and after a removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.flow import product
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.channels.tracing import is_followed, trace


@dataclass(frozen=True)
class Costs:
    """The size of a model's work.

    Attributes:
        macs: Multiply-accumulate operations of one forward pass of one sample, of
            kernels and attention. Sizes that are not fixed count as 1.
        parameters: The number of weights.
    """

    macs: int
    parameters: int


def costs_of(found: Trace, stays: np.ndarray) -> Costs:
    """Return the costs of a traced model in which only some channels stay.

    Args:
        found: The trace.
        stays: For each channel id, True if it stays.
    """

    def count(size: Any) -> int:
        return int(stays[size].sum()) if isinstance(size, np.ndarray) else int(size)

    macs = sum(
        item.positions * product(count(size) for size in item.sizes)
        for item in found.products
    )
    parameters = 0
    for variable in _keras.variables_among(found.model.weights):
        shape = tuple(variable.shape)
        cut = found.cuts.get(id(variable))
        axes = cut.axes if cut is not None else (None,) * len(shape)
        parameters += product(
            size if ids is None else count(ids)
            for size, ids in zip(shape, axes, strict=True)
        )
    return Costs(macs, parameters)


def macs_of(model: Any) -> int | None:
    """Return the multiplications of a model; `None` if its calls are not known.

    Args:
        model: A built model of either world.
    """
    if not is_followed(model):
        return None
    found = trace(model)
    return None if found.unknown else costs_of(found, all_stay(found)).macs


def all_stay(found: Trace) -> np.ndarray:
    """Return True for each channel id of a trace."""
    return np.ones(len(found.ties), bool)


def staying(found: Trace, gone: np.ndarray) -> np.ndarray:
    """Return, for each channel id, True if it is not tied to one that goes.

    Args:
        found: The trace.
        gone: Roots of the channels that go.
    """
    roots = found.ties.roots(np.arange(len(found.ties)))
    return ~np.isin(roots, gone)
