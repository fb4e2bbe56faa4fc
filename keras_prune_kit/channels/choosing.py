"""The choice of the channels that leave a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit.channels.costs import Costs, all_stay, costs_of, staying
from keras_prune_kit.channels.groups import Members, members_of
from keras_prune_kit.channels.traces import Trace
from keras_prune_kit.structures import Channel, count_zeros, keep_highest

HEADS, HEAD_SIZES = "heads", ("head size", "value size")
SCOPES = ("group", "global")
_LEAST_SHARE = 0.1  # of a group that stays when all groups are ranked together


@dataclass(eq=False)
class Chooser:
    """Chooses the channels that leave, with the lowest scores first.

    Args:
        found: The trace.
        members: The groups that may lose channels.
        scores: The scores of their channels.
        scope: `"group"`: each group loses the same fraction. `"global"`: all channels
            are ranked together, and each group keeps a tenth at least.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.
        least: The number of channels that a group keeps at least.
    """

    found: Trace
    members: Sequence[Members]
    scores: Sequence[np.ndarray]
    scope: str = "group"
    multiple_of: int = 1
    least: int = 1
    _costs: dict[float, Costs] = field(default_factory=dict)

    def stays(self, fraction: float) -> np.ndarray:
        """Return, for each channel id, True if it stays.

        Args:
            fraction: The fraction of the channels that leave, 0 to 1.
        """
        gone = [
            group.roots[~keep_highest(scores, self._leaving(len(scores), share))]
            for group, scores, share in zip(
                self.members, self.scores, self._shares(fraction), strict=True
            )
        ]
        return staying(self.found, np.concatenate([np.zeros(0, np.int64), *gone]))

    def costs(self, fraction: float) -> Costs:
        """Return the costs without a fraction of the channels."""
        if fraction not in self._costs:
            stays = self.stays(fraction) if fraction else all_stay(self.found)
            self._costs[fraction] = costs_of(self.found, stays)
        return self._costs[fraction]

    def fraction_for(self, macs: float) -> float:
        """Return the smallest fraction with which at most a share of the MACs is left.

        Args:
            macs: The share, 0 to 1.

        Raises:
            ValueError: If too many would be left even without all channels that can go.
        """
        goal = macs * self.costs(0.0).macs
        low, high = 0.0, 0.99
        if self.costs(high).macs > goal:
            left = self.costs(high).macs / max(self.costs(0.0).macs, 1)
            raise ValueError(
                f"macs={macs:.4g} cannot be reached: with one channel left in each "
                f"group, {left:.3g} of the multiplications are left. Ask for more."
            )
        while high - low > 1e-3:
            middle = (low + high) / 2
            low, high = (
                (low, middle) if self.costs(middle).macs <= goal else (middle, high)
            )
        return high

    def _shares(self, fraction: float) -> list[float]:
        """Return the fraction of each group that leaves."""
        if self.scope == "group" or not self.members:
            return [fraction] * len(self.members)
        together = np.concatenate(self.scores)
        kept = keep_highest(together, count_zeros(fraction, together.size))
        ends = np.cumsum([len(scores) for scores in self.scores])[:-1]
        shares = [1 - float(part.mean()) for part in np.split(kept, ends)]
        return [min(share, 1 - _LEAST_SHARE) for share in shares]

    def _leaving(self, size: int, fraction: float) -> int:
        """Return the number of channels of a group that leave."""
        leaving = Channel(multiple_of=self.multiple_of).count(fraction, size)
        return min(leaving, max(size - self.least, 0))


def removable(found: Trace) -> list[Members]:
    """Return the groups that can lose channels.

    Attention with several heads loses whole heads; the size of a head stays, as its
    kernels would shrink along three axes where those of other layers shrink along two.
    """
    free = [group for group in members_of(found) if not group.group.kept_because]
    with_heads = {
        group.group.layers
        for group in free
        if group.group.kind == HEADS and group.group.channels > 1
    }
    return [
        group
        for group in free
        if group.group.kind not in HEAD_SIZES or group.group.layers not in with_heads
    ]


def no_group_message(found: Trace, what: Any) -> str:
    """Return the text of the error if nothing can be removed."""
    reasons = {
        f"{group.group.layers[0]} ({group.group.kept_because})"
        for group in members_of(found)
        if group.group.kept_because
    }
    return (
        f"No channels of {what} can be removed: {', '.join(sorted(reasons)[:5])}. "
        "print(kpk.channel_groups(model)) shows all groups."
    )
