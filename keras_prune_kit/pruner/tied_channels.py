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
        self._weights = [weight for weight in weights if weight.channels is not None]
        axes = [w.channels for w in self._weights if w.channels is not None]
        followed = axes[0].tied.followers(axes) if axes else []
        self.followers = [Follower(axis, variables) for axis in followed]

    def update(self) -> None:
        """Rank the channels of each group, and set all masks."""
        gone = [self._rank(*group) for group in self._groups()]
        if not gone:
            return
        for weight in self._weights:
            if weight.channels is not None:
                weight.set_mask(weight.channels.mask(np.concatenate(gone)))
        for follower in self.followers:
            follower.set_mask(follower.axis.mask(np.concatenate(gone)))

    def clear_followers(self) -> None:
        """Zero what follows the channels; moving averages are under no constraint."""
        for follower in self.followers:
            follower.project()

    def _groups(self) -> Iterator[tuple[list[PrunedWeight], np.ndarray]]:
        """Yield the weights of each group with the roots of its channels, sorted."""
        makers: dict[int, list[int]] = defaultdict(list)
        for number, weight in enumerate(self._weights):
            if weight.channels is not None:
                for root in np.unique(weight.channels.roots).tolist():
                    makers[root].append(number)
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for root, numbers in makers.items():
            groups[tuple(numbers)].append(root)
        for numbers, roots in groups.items():
            yield [self._weights[n] for n in numbers], np.array(sorted(roots))

    @staticmethod
    def _rank(weights: list[PrunedWeight], roots: np.ndarray) -> np.ndarray:
        """Return the roots of the channels that go; those that are zero stay so."""
        first, size = weights[0], len(roots)
        are_zero = np.all([weight.zero_channels(roots) for weight in weights], 0)
        due, final = first.channel_count(size)
        there = int(are_zero.sum())
        # Weights that are all zeros were initialized so.
        there = 0 if there == size else min(there, final)
        zeros = max(due, there)
        scores = np.sum([weight.channel_scores(roots) for weight in weights], 0)
        if first.channels is not None:
            for reader in first.channels.tied.readers(set(roots.tolist())):
                scores = scores + first.reader_scores(reader, roots)
        # Zeros go first, whatever the criterion says of them.
        first_zeros = are_zero & (np.cumsum(are_zero) <= there)
        scores = np.where(first_zeros, -np.inf, scores)
        for weight in weights:
            weight.reached = weight.final_sparsity if zeros >= final else 0.0
        return roots[~keep_highest(scores, zeros)]


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
