"""Channel groups: sets of channels of several layers that stand and fall together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.channels.tracing import is_followed, trace
from keras_prune_kit.reports import Notes, Printed, Table
from keras_prune_kit.reports.printed import shares

_SHOWN = 3  # layers of a group in the table


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that several layers make together.

    Channel number 5 of a residual sum is number 5 of each layer that is added, so one
    cannot leave without the others.

    Attributes:
        layers: Paths of the layers that make the channels.
        kind: The field's word for them, such as `"filters"`, `"units"` or `"heads"`.
        channels: Their number. Channels that are tied together count once.
        kept_because: The reason why none can be removed; `None` if they can.
        coupled_because: The reason why the removal of a channel changes the others,
            even if it is zero; `None` if it does not.
    """

    layers: tuple[str, ...]
    kind: str
    channels: int
    kept_because: str | None = None
    coupled_because: str | None = None


@dataclass(frozen=True)
class ChannelGroups(Printed):
    """The channel groups of a model.

    Attributes:
        groups: The groups in the order of their first layers.
        unknown: Paths of layers with weights that are not followed, whose channels
            stay.
    """

    groups: tuple[ChannelGroup, ...]
    unknown: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[ChannelGroup]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def _blocks(self) -> tuple[Table | Notes, ...]:
        rows = [
            (
                _layers_text(group.layers),
                group.kind,
                str(group.channels),
                _removable(group),
            )
            for group in self.groups
        ]
        columns = ("made by", "kind", "channels", "removable")
        bars = {"channels": shares([group.channels for group in self.groups])}
        table = Table("Channel groups", columns, rows, bars)
        notes = [
            f"{_layers_text(group.layers)}: {reason}"
            for group in self.groups
            for reason in (group.kept_because or group.coupled_because,)
            if reason
        ]
        if self.unknown:
            paths = ", ".join(self.unknown)
            notes.append(f"not followed, so all that they touch stays: {paths}")
        return (table, Notes(notes)) if notes else (table,)


@dataclass(frozen=True, eq=False)
class Members:
    """The channels of a group, as ids in a trace.

    Attributes:
        group: The group.
        roots: One id for each set of tied channels.
    """

    group: ChannelGroup
    roots: np.ndarray


def channel_groups(model: Any) -> ChannelGroups:
    """Return the channels of a model that stand and fall together.

    Args:
        model: A built Sequential or functional model of either world, or the path of a
            model file. Models inside it are followed too.

    Returns:
        The groups, which print as a table: which layers make them, how many channels,
        and why some must stay.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it is not built, or is a subclassed model, whose layers are
            called by code.

    Example:

    ```python
    print(kpk.channel_groups(model))
    ```
    """
    found = traced(_keras.opened(model))
    groups = tuple(members.group for members in members_of(found))
    return ChannelGroups(groups, tuple(dict.fromkeys(found.unknown)))


def traced(model: Any) -> Trace:
    """Trace a model after checks.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it is not built, or its calls are not known.
    """
    _keras.world(model)
    _keras.check_built(model)
    _keras.check_not_wrapped(model)
    if not is_followed(model):
        raise ValueError(
            "Channels are followed along the calls of a Sequential or functional "
            f"model. Received: model '{model.name}' of class {type(model).__name__}, "
            "whose layers are called by code. Rebuild it as keras.Model(inputs, "
            "outputs) from the same layers: the outputs are model.call(inputs), "
            "applied to a keras.Input."
        )
    return trace(model)


def members_of(found: Trace) -> list[Members]:
    """Return the groups of a trace with their channels.

    Sets of tied channels that the same layers make are one group.
    """
    makers: dict[int, dict[tuple[str, str], None]] = defaultdict(dict)
    for made in found.made:
        for root in dict.fromkeys(found.ties.roots(made.ids).tolist()):
            makers[root][made.path, made.kind] = None
    kept, coupled = found.reasons(found.kept), found.reasons(found.coupled)
    sets: dict[Any, list[int]] = defaultdict(list)
    for root, by in makers.items():
        sets[tuple(by), kept.get(root), coupled.get(root)].append(root)
    groups = []
    for (by, kept_because, coupled_because), roots in sets.items():
        group = ChannelGroup(
            tuple(path for path, _ in by),
            by[0][1],
            len(roots),
            kept_because,
            coupled_because,
        )
        groups.append(Members(group, np.array(roots)))
    return groups


def _removable(group: ChannelGroup) -> str:
    if group.kept_because:
        return "no"
    # Masks in training leave these alone; `remove_channels` takes them.
    return "inexactly" if group.coupled_because else "yes"


def _layers_text(paths: tuple[str, ...]) -> str:
    shown = ", ".join(paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
