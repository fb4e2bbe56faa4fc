"""Masks of whole channels: one ranking for the channels of each group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.channels import TiedAxis
from keras_prune_kit.pruner.masked_weight import MaskedWeight
from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.structures import keep_highest

_Tied = tuple[PrunedWeight, TiedAxis]


class TiedChannels:
    """The channels that the layers of a model lose together.

    Channels that the same weights make are ranked together, by the sum of their scores
    in all of these weights and in those that read them.

    Args:
        weights: All pruned weights.
        variables: Handles variables of the model's world.

    Attributes:
        followers: The biases and weights of normalization that become zero with them.
    """

    def __init__(
        self, weights: Sequence[PrunedWeight], variables: _keras.Variables
    ) -> None:
        self._tied = [(w, w.channels) for w in weights if w.channels is not None]
        axes = [axis for _, axis in self._tied]
        followed = axes[0].tied.followers(axes) if axes else []
        self.followers = [Follower(axis, variables) for axis in followed]

    def update(self) -> None:
        """Rank the channels of each group, and set all masks."""
        gone = np.concatenate([self._rank(*group) for group in self._groups()])
        for weight, axis in self._tied:
            weight.set_mask(axis.mask(gone))
        for follower in self.followers:
            follower.set_mask(follower.axis.mask(gone))

    def clear_followers(self) -> None:
        """Zero what follows the channels; moving averages are under no constraint."""
        for follower in self.followers:
            follower.project()

    def _groups(self) -> Iterator[tuple[list[_Tied], np.ndarray]]:
        """Yield the weights of each group with the roots of its channels, sorted."""
        makers: dict[int, list[int]] = defaultdict(list)
        for number, (_, axis) in enumerate(self._tied):
            for root in np.unique(axis.roots).tolist():
                makers[root].append(number)
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for root, numbers in makers.items():
            groups[tuple(numbers)].append(root)
        for numbers, roots in groups.items():
            yield [self._tied[n] for n in numbers], np.array(sorted(roots))

    @staticmethod
    def _rank(tied: list[_Tied], roots: np.ndarray) -> np.ndarray:
        """Return the roots of the channels that go; those that are zero stay so."""
        (first, axis), size = tied[0], len(roots)
        are_zero = np.all([weight.zero_channels(own, roots) for weight, own in tied], 0)
        due, final = first.channel_count(size)
        there = int(are_zero.sum())
        # Weights that are all zeros were initialized so.
        there = 0 if there == size else min(there, final)
        zeros = max(due, there)
        scores = [weight.channel_scores(own, roots) for weight, own in tied]
        readers = axis.tied.readers(set(roots.tolist()))
        scores += [first.reader_scores(reader, roots) for reader in readers]
        # Zeros go first, whatever the criterion says of them.
        first_zeros = are_zero & (np.cumsum(are_zero) <= there)
        ranking = np.where(first_zeros, -np.inf, np.sum(scores, 0))
        for weight, _ in tied:
            weight.reached = weight.final_sparsity if zeros >= final else 0.0
        return roots[~keep_highest(ranking, zeros)]


class Follower(MaskedWeight):
    """A bias, or a weight of a normalization, that is zero where its channel is.

    Args:
        axis: Its channels.
        variables: Handles variables of the model's world.
    """

    def __init__(self, axis: TiedAxis, variables: _keras.Variables) -> None:
        variable = axis.variable
        path = getattr(variable, "path", variable.name)
        super().__init__(path, variable, None, variables)
        self.axis = axis

    def check_applied(self) -> None:
        # No optimizer updates averages and frozen weights: they stay zero.
        if getattr(self.variable, "trainable", True):
            super().check_applied()
