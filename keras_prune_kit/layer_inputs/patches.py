"""Rows of inputs of convolutions: the patches that their kernels are laid on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keras_prune_kit.layer_inputs.layouts import Layout


@dataclass(frozen=True)
class Patches(Layout):
    """The inputs of a convolution in any number of dimensions.

    Attributes:
        size: The kernel's size along each dimension.
        strides: The strides.
        dilation: The dilation rates.
        padding: `"valid"`, `"same"` or `"causal"`.
        is_channels_first: True for `data_format="channels_first"`.
        groups: The number of groups that the channels are divided into.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "valid"
    is_channels_first: bool = False
    groups: int = 1

    def count(self, shape: tuple[int, ...]) -> int:
        return shape[0] * math.prod(self._places(self._spatial(shape)))

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        patches = self.patches(x, chosen)
        split = patches.reshape(*patches.shape[:-1], self.groups, -1)
        moved = np.moveaxis(split, -2, 0)
        return moved.reshape(self.groups, len(chosen), -1)

    def patches(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return patches of shape `(rows, *size, channels)`."""
        if self.is_channels_first:
            x = np.moveaxis(x, 1, -1)
        spatial = x.shape[1:-1]
        padding = [self._padding(axis, length) for axis, length in enumerate(spatial)]
        x = np.pad(x, [(0, 0), *padding, (0, 0)])
        sample, *places = np.unravel_index(chosen, (len(x), *self._places(spatial)))
        rank = len(spatial)
        index = [sample.reshape(-1, *[1] * rank)]
        for axis, place in enumerate(places):
            shape = [1] * rank
            shape[axis] = self.size[axis]
            taps = self._taps(axis, spatial[axis], place)
            index.append(taps.reshape(-1, *shape))
        return x[tuple(index)]

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        inputs = math.prod(kernel.shape[:-1])
        return np.moveaxis(kernel.reshape(inputs, self.groups, -1), 1, 0)

    def kernel(self, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.moveaxis(matrices, 0, 1).reshape(shape)

    def _taps(self, axis: int, length: int, place: np.ndarray) -> np.ndarray:
        """Return the padded inputs at some places along a dimension."""
        taps = np.arange(self.size[axis]) * self.dilation[axis]
        return place[:, None] * self.strides[axis] + taps

    def _spatial(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[2:] if self.is_channels_first else shape[1:-1]

    def _places(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of outputs along each dimension."""
        return tuple(
            (length + sum(self._padding(axis, length)) - self._reach(axis))
            // self.strides[axis]
            + 1
            for axis, length in enumerate(spatial)
        )

    def _padding(self, axis: int, length: int) -> tuple[int, int]:
        """Return the zeros before and after a dimension, as TensorFlow adds them."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self._reach(axis) - 1, 0
        stride = self.strides[axis]
        steps = -(-length // stride) - 1
        total = max(0, steps * stride + self._reach(axis) - length)
        return total // 2, total - total // 2

    def _reach(self, axis: int) -> int:
        return (self.size[axis] - 1) * self.dilation[axis] + 1


@dataclass(frozen=True, eq=False)
class SeparableRows(Patches):
    """The inputs of a separable convolution's second step: the outputs of the first.

    Attributes:
        depthwise: The kernel of the first step, `(*size, channels, multiplier)`.
    """

    depthwise: np.ndarray | None = None

    def rows(self, x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        products = self.patches(x, chosen)[..., None] * self.depthwise
        sums = products.sum(tuple(range(1, 1 + len(self.size))))
        return sums.reshape(1, len(chosen), -1)

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.reshape(1, *kernel.shape[-2:])


@dataclass(frozen=True)
class DepthwisePatches(Patches):
    """The inputs of a depthwise convolution, with a group for each channel."""

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        by_channel = kernel.reshape(-1, *kernel.shape[-2:])
        return np.moveaxis(by_channel, 1, 0)


@dataclass(frozen=True)
class TransposedPatches(Patches):
    """The inputs of a transposed convolution: what each output is a sum of.

    Inputs lie `strides` apart among zeros, so most entries of a patch are zero.

    Attributes:
        output_padding: What is added to the length along each dimension, or `None`.
    """

    output_padding: tuple[int, ...] | None = None

    def _taps(self, axis: int, length: int, place: np.ndarray) -> np.ndarray:
        at = place[:, None] + self._cropped(axis, length)
        at = at - np.arange(self.size[axis]) * self.dilation[axis]
        inputs, rest = np.divmod(at, self.strides[axis])
        is_inside = (rest == 0) & (inputs >= 0) & (inputs < length)
        # The one zero that is added after the inputs.
        return np.where(is_inside, inputs, length)

    def _padding(self, axis: int, length: int) -> tuple[int, int]:
        return 0, 1

    def _places(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self._length(axis, size) for axis, size in enumerate(spatial))

    def _length(self, axis: int, length: int) -> int:
        stride, reach = self.strides[axis], self._reach(axis)
        if self.output_padding is None:
            added = (
                max(stride - reach, 0) if self.padding == "valid" else stride - reach
            )
        else:
            kept = 0 if self.padding == "valid" else reach - reach % 2
            added = self.output_padding[axis] - kept
        return (length - 1) * stride + reach + added

    def _cropped(self, axis: int, length: int) -> int:
        """Return how many of the first outputs are left out, as in TensorFlow."""
        whole = (length - 1) * self.strides[axis] + self._reach(axis)
        return max(0, whole - self._length(axis, length)) // 2
