"""Channel sparsity."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from keras_prune_kit._tools.checks import as_array, check_whole, is_one_of, widened
from keras_prune_kit.structures.ranking import count_zeros, keep_highest, zero_fraction
from keras_prune_kit.structures.structure import Structure, check_shape


@dataclass(frozen=True)
class Channel(Structure):
    """Zeros come in whole channels: neurons, filters, or heads of attention.

    A channel's score is the mean score of its weights (with `magnitude` this ranks by
    L1 norm, as in Li et al. 2017, arXiv 1608.08710). `remove_zero_channels` takes zero
    channels out of the model, the only kind of pruning that makes every runtime faster.

    In a Sequential or functional model, output channels follow the channel groups: the
    layers whose outputs are added lose the same ones, biases and normalization become
    zero with them, and channels that feed an output of the model stay. In a subclassed
    model, whose calls are not known, each kernel is ranked by itself.

    Args:
        axis: -1 for output channels, -2 for input channels. Defaults to -1.
        multiple_of: If a group keeps at least this many channels at the final sparsity,
            it keeps a multiple of this number; 8 suits the vector instructions of most
            processors. Defaults to 1.

    Raises:
        ValueError: If `axis` is neither -1 nor -2, or `multiple_of` is below 1.

    Example:

    >>> Channel().mask(np.array([[3.0, 1.0], [2.0, 1.0]]), 0.5).tolist()
    [[True, False], [True, False]]
    """

    axis: int = -1
    multiple_of: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not is_one_of(self.axis, (-1, -2)):
            raise ValueError(
                "axis is -1 for output channels or -2 for input channels. "
                f"Received: axis={self.axis!r}."
            )
        check_whole("multiple_of", self.multiple_of)

    def __repr__(self) -> str:
        # As it was before there was a second argument: searches name choices by it.
        more = "" if self.multiple_of == 1 else f", multiple_of={self.multiple_of}"
        return f"Channel(axis={self.axis}{more})"

    def count(self, sparsity: float, channels: int) -> int:
        """Return the number of zero channels at a final sparsity, never all.

        Args:
            sparsity: The final sparsity, 0 to 1.
            channels: The number of channels.

        Example:

        >>> Channel(multiple_of=8).count(0.6, 64)
        40
        """
        check_whole("channels", channels)
        zeros = count_zeros(sparsity, channels)
        left = channels - zeros
        if left < self.multiple_of:
            return zeros
        return max(0, channels - round(left / self.multiple_of) * self.multiple_of)

    def mask(self, scores: np.ndarray, sparsity: float) -> np.ndarray:
        scores = as_array("scores", scores, least_axes=2)
        if not scores.size:
            return np.ones(scores.shape, bool)
        channels = widened(scores).mean(axis=self._others(scores), keepdims=True)
        kept = keep_highest(channels, self.count(sparsity, channels.size))
        # A broadcast array is a read-only view.
        return np.broadcast_to(kept, scores.shape).copy()

    def sparsity(self, weights: np.ndarray) -> float:
        weights = as_array("weights", weights, least_axes=2)
        if not weights.size:
            return 0.0
        return zero_fraction((weights != 0).any(axis=self._others(weights)))

    def check(self, shape: tuple[int, ...], final_sparsity: float) -> None:
        check_shape(shape)
        if len(shape) < 2:
            raise ValueError(
                f"{self} needs a kernel with inputs and outputs. Received: a weight of "
                f"shape {shape}. Keep it dense with Rule(path, None)."
            )

    def _others(self, array: np.ndarray) -> tuple[int, ...]:
        return tuple(
            axis for axis in range(array.ndim) if axis != array.ndim + self.axis
        )
