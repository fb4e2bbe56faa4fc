"""Whole channels: which weights lose them together, and which must keep theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.channels import TiedWeights, tied_weights
from keras_prune_kit.policies.assignment import Assignment
from keras_prune_kit.reports import Skipped
from keras_prune_kit.structures import Channel

_NOT_FOLLOWED = "its channels must stay: its layer is not followed"

Decision = Assignment | Skipped


def tie_channels(
    model: Any, found: Iterable[Any], decisions: Sequence[Decision]
) -> list[Decision]:
    """Tie the weights that lose output channels, and skip those that must keep them.

    In a subclassed model, whose calls are not known, each weight is left to itself.

    Args:
        model: A built model.
        found: All weights of the model.
        decisions: The decision for each of them.

    Returns:
        The decisions, with `channels` where a weight loses whole output channels.

    Raises:
        ValueError: If weights that lose channels together have different schedules.
    """
    chosen = [item for item in decisions if _loses_channels(item)]
    tied = tied_weights(model) if chosen else None
    if tied is None:
        return list(decisions)
    kernels = {
        id(weight.variable): weight.path
        for weight in found
        if isinstance(weight, _keras.PrunableWeight)
    }
    decided = [_with_channels(item, tied) for item in decisions]
    # A weight that must stay keeps others that are tied to it.
    while True:
        pruned = {
            id(item.weight.variable): item
            for item in decided
            if isinstance(item, Assignment) and item.channels is not None
        }
        reduced = [_checked(item, tied, kernels, pruned) for item in decided]
        if sum(isinstance(i, Skipped) for i in reduced) == sum(
            isinstance(i, Skipped) for i in decided
        ):
            break
        decided = reduced
    _check_schedules(list(pruned.values()))
    return decided


def _loses_channels(item: Any) -> bool:
    structure = item.structure if isinstance(item, Assignment) else None
    return isinstance(structure, Channel) and structure.axis == -1


def _with_channels(item: Decision, tied: TiedWeights) -> Decision:
    if not isinstance(item, Assignment) or not _loses_channels(item):
        return item
    axis = tied.axis(item.weight.variable)
    if axis is None:
        return Skipped(item.weight.path, _NOT_FOLLOWED)
    return replace(item, channels=axis)


def _checked(
    item: Decision,
    tied: TiedWeights,
    kernels: dict[int, str],
    pruned: dict[int, Assignment],
) -> Decision:
    if not isinstance(item, Assignment) or item.channels is None:
        return item
    reason = tied.reason_to_stay(item.channels, kernels, pruned)
    return item if reason is None else Skipped(item.weight.path, reason)


def _check_schedules(pruned: Sequence[Assignment]) -> None:
    """Raise a `ValueError` if tied weights have different schedules."""
    first: dict[int, Assignment] = {}
    for item in pruned:
        if item.channels is None:
            continue
        for root in set(item.channels.roots.tolist()):
            other = first.setdefault(root, item)
            if other.schedule != item.schedule:
                raise ValueError(
                    f"{other.weight.path} and {item.weight.path} lose their channels "
                    "together, as their outputs are combined, so they need the same "
                    f"schedule. Received: {other.schedule} and {item.schedule}. Let "
                    "one rule cover both."
                )
