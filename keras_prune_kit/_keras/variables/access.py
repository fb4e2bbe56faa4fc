"""Access to the variables of a model: read, write and constrain."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np


class NotFiniteError(ValueError):
    """A weight is NaN or infinite."""


class Variables(abc.ABC):
    """Access to the variables of one model."""

    def sync(self) -> None:
        """Bring into the variables what a running train step holds outside of them."""
        return  # Only JAX holds anything outside.

    def take_in(self, optimizer: Any, trainable: Any, rest: Any) -> None:
        """Take the state of a train step that keeps it outside of the variables.

        Args:
            optimizer: The optimizer.
            trainable: A tensor for each weight that it trains.
            rest: A tensor for each of its own variables.
        """
        raise TypeError(
            "stateless_step is for models of Keras 3, whose optimizers have a "
            "stateless_apply. Received: a tf_keras model; call step() instead."
        )

    def give_out(self) -> tuple[list[Any], list[Any]]:
        """Return the state that `take_in` took, or that of the variables if it changed.

        Returns:
            The tensors of the trained weights, and those of the optimizer's variables.
        """
        return [], []

    def share(self, optimizer: Any, variable: Any) -> None:
        """Let compiled train steps read a variable anew in each step.

        Args:
            optimizer: The optimizer of these steps, or `None`.
            variable: A variable that the constraint of a weight reads, such as a mask.
        """
        return  # All backends but JAX do so anyway.

    def unshare(self, optimizer: Any, variable: Any) -> None:
        """Take back what `share` did, if it did."""
        return

    @abc.abstractmethod
    def read(self, variable: Any) -> np.ndarray:
        """Return the value as an array, which must not be modified."""

    @abc.abstractmethod
    def write(self, variable: Any, value: np.ndarray) -> None:
        """Assign a value, on every replica."""

    @abc.abstractmethod
    def make_mask(self, shape: tuple[int, ...]) -> Any:
        """Return a non-trainable boolean variable of `True`, one byte per weight."""

    @abc.abstractmethod
    def make_index(self, index: np.ndarray) -> Any:
        """Return a non-trainable variable of cluster indices, one byte per weight."""

    @abc.abstractmethod
    def masked(self, mask: Any, value: Any) -> Any:
        """Return the value as a tensor, with +0.0 wherever the mask is `False`."""

    @abc.abstractmethod
    def constraint(self, variable: Any) -> Any:
        """Return the constraint that optimizers apply to the variable, or `None`."""

    @abc.abstractmethod
    def constrain(self, variable: Any, constraint: Any) -> None:
        """Set the constraint; `None` removes it."""

    @abc.abstractmethod
    def moving_average(self, optimizer: Any, variable: Any) -> Any:
        """Return the average that `use_ema=True` keeps, or `None` if there is none."""

    def read_finite(self, variable: Any, path: str) -> np.ndarray:
        """Return the value in float32 or float64.

        Raises:
            NotFiniteError: If it contains NaN or infinity.
        """
        kernel = self.read(variable)
        # float16 ends at 65,504: the sum below and squares of scores would overflow.
        if kernel.dtype.itemsize < 4:
            kernel = kernel.astype(np.float32)
        # A finite sum proves that all values are, at a fraction of the cost of a check.
        with np.errstate(over="ignore", invalid="ignore"):
            # The sum of finite values may overflow, so it proves nothing if it is
            # infinite.
            is_suspicious = not np.isfinite(kernel.sum())
        if is_suspicious and not np.isfinite(kernel).all():
            raise NotFiniteError(
                f"{path} holds NaN or infinite weights, so there is nothing sensible "
                "to compress. Look for a diverging loss (a lower learning rate helps), "
                "or load a healthy checkpoint."
            )
        return kernel

    @abc.abstractmethod
    def clustered(self, index: Any, counts: np.ndarray, value: Any) -> Any:
        """Return the value as a tensor, with members replaced by their cluster's mean.

        Args:
            index: The cluster index of each value.
            counts: The number of members per cluster; a count of 0 makes its mean zero.
            value: A variable or tensor.
        """

    def ignores_constraint(self, optimizer: Any, layer: Any) -> bool:
        """Return True if the optimizer cannot apply constraints to a layer's weight."""
        return False
