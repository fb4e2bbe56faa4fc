"""Scores of channels: how much the weights of each group matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import widened
from keras_prune_kit.channels.flow import name_of
from keras_prune_kit.channels.groups import Members
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.criteria import (
    Criterion,
    gradients_needed,
    inputs_needed,
    scored_by,
)
from keras_prune_kit.layer_inputs.model_inputs import inputs_alone
from keras_prune_kit.layer_inputs.scoring import scores_by_inputs

BATCH_NORM = "batch_norm"

# What is known of the channels of a weight, and the scores of its values.
Scored = tuple[Any, np.ndarray]


def channel_scores(
    found: Trace, members: Sequence[Members], criterion: Criterion | str, data: Any
) -> list[np.ndarray]:
    """Return the score of each channel of each group.

    The scores of a kernel are averaged over each channel that it makes or reads, and
    divided by their mean, so that kernels of any size and scale count alike. Those of
    all kernels of a group are summed.

    Args:
        found: The trace.
        members: The groups.
        criterion: A criterion, or `"batch_norm"` for the absolute gammas of
            normalization.
        data: `(x, y)` for criteria that need gradients, inputs for those that need
            inputs, or `None`.

    Returns:
        One array per group, in the order of its roots.

    Raises:
        ValueError: If the criterion needs data and there are none, has no score for a
            group, or returns scores of another shape.
    """
    if criterion == BATCH_NORM:
        scored = _gammas(found)
        _check_all_scored(
            found,
            members,
            scored,
            "criterion='batch_norm' ranks channels by the gammas of their "
            "normalization. Received: {}, whose channels have none.",
        )
    elif not isinstance(criterion, str) and inputs_needed(criterion):
        scored = _by_inputs(found, criterion, data)
        _check_all_scored(
            found,
            members,
            scored,
            "The criterion ranks channels by the inputs of Dense kernels and "
            "convolutions. Received: {}, whose channels none of them makes or reads.",
        )
    else:
        scored = _kernels(found, criterion, data)
    totals = np.zeros(len(found.ties))
    for cut, scores in scored:
        for axis, ids in enumerate(cut.axes):
            if ids is not None:
                _add(totals, found.ties.roots(ids), scores, axis)
    return [totals[group.roots] for group in members]


def _check_all_scored(
    found: Trace, members: Sequence[Members], scored: Sequence[Scored], message: str
) -> None:
    """Raise a `ValueError`, whose message names a layer, if a group has no score."""
    is_scored = {root for cut, _ in scored for root in _roots(found, cut)}
    rest = [m for m in members if not is_scored.issuperset(m.roots.tolist())]
    if rest:
        raise ValueError(
            message.format(rest[0].group.layers[0])
            + " Use another criterion, or name the layers to cut."
        )


def _add(totals: np.ndarray, roots: np.ndarray, scores: np.ndarray, axis: int) -> None:
    """Add the relative mean scores of the channels along one axis of a weight."""
    others = tuple(other for other in range(scores.ndim) if other != axis)
    along = scores.mean(others, dtype=np.float64)
    distinct, at = np.unique(roots, return_inverse=True)
    means = np.bincount(at, along) / np.bincount(at)
    scale = np.abs(means).mean()
    if scale > 0:
        totals[distinct] += means / scale


def _cut_kernels(found: Trace) -> list[_keras.PrunableWeight]:
    """Return the kernels with channels."""
    return [
        weight
        for weight in _keras.find_weights(found.model)
        if isinstance(weight, _keras.PrunableWeight)
        and id(weight.variable) in found.cuts
    ]


def _by_inputs(found: Trace, criterion: Criterion, data: Any) -> list[Scored]:
    """Return the kernels whose inputs are seen, each with the scores of its values."""
    if data is None:
        raise ValueError(
            "The criterion needs inputs, and so some hundred inputs of the model like "
            "those of training: pass data=x."
        )
    weights = {id(weight.variable): weight for weight in _cut_kernels(found)}
    criteria = dict.fromkeys(weights, criterion)
    scores = scores_by_inputs(found.model, inputs_alone(found.model, data), criteria)
    return [
        (found.cuts[key], weights[key].from_canonical(values))
        for key, values in scores.items()
    ]


def _kernels(found: Trace, criterion: Criterion | Any, data: Any) -> list[Scored]:
    """Return the kernels with channels, each with the scores of its values."""
    weights = _cut_kernels(found)
    needed = gradients_needed(criterion)
    gradients: list[Any] = [None] * len(weights)
    if needed is not None:
        if data is None:
            raise ValueError(
                "The criterion needs gradients, and so a sample of the training data: "
                "pass data=(x, y)."
            )
        variables = [weight.variable for weight in weights]
        probe = _keras.GradientProbe(found.model, data, variables)
        gradients = probe.mean(needed.statistic, needed.batch_size)
    scored = []
    for weight, gradient in zip(weights, gradients, strict=True):
        value = widened(_keras.as_array(weight.variable))
        kernel = weight.to_canonical(value)
        slopes = None if gradient is None else weight.to_canonical(gradient)
        scores = scored_by(criterion, weight.path, kernel, slopes)
        cut = found.cuts[id(weight.variable)]
        scored.append((cut, weight.from_canonical(np.asarray(scores))))
    return scored


def _gammas(found: Trace) -> list[Scored]:
    return [
        (cut, np.abs(_keras.as_array(cut.variable)))
        for cut in found.cuts.values()
        if name_of(cut.variable) == "gamma"
    ]


def _roots(found: Trace, cut: Any) -> list[int]:
    return [
        root
        for ids in cut.axes
        if ids is not None
        for root in found.ties.roots(ids).tolist()
    ]
