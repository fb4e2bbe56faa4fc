"""Access to the variables of Keras 3."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.models import inner_optimizer
from keras_prune_kit._keras.variables.access import Variables
from keras_prune_kit._keras.variables.tensors import cluster_means, view


class Keras3Variables(Variables):
    """Access to the variables of Keras 3."""

    def __init__(self, keras: Any) -> None:
        self._keras = keras
        self._optimizer: Any = None
        self._outside: tuple[list[Any], list[Any]] | None = None
        self._is_written = True

    def sync(self) -> None:
        if self._is_written or self._outside is None:
            return
        self._is_written = True
        for variables, values in zip(self._inside(), self._outside, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def take_in(self, optimizer: Any, trainable: list[Any], rest: list[Any]) -> None:
        self._optimizer, self._outside = optimizer, (trainable, rest)
        for variables, values in zip(self._inside(), self._outside, strict=True):
            if len(variables) != len(values):
                raise ValueError(
                    "stateless_step takes a tensor for each weight that the optimizer "
                    f"trains and for each of its variables ({len(variables)} here), "
                    f"as stateless_apply does. Received: {len(values)}. Take "
                    "optimizer.variables after the pruner has started."
                )
        self._is_written = False

    def give_out(self) -> tuple[list[Any], list[Any]]:
        if not self._is_written and self._outside is not None:
            return self._outside
        trainable, rest = ([v.value for v in part] for part in self._inside())
        return trainable, rest

    def _inside(self) -> tuple[list[Any], list[Any]]:
        """Return the variables that the state stands for."""
        inner = inner_optimizer(self._optimizer)
        return inner._trainable_variables, self._optimizer.variables

    def read(self, variable: Any) -> np.ndarray:
        if self._keras.backend.backend() == "tensorflow":
            return view(sys.modules["tensorflow"].convert_to_tensor(variable.value))
        return self._keras.ops.convert_to_numpy(variable)

    def write(self, variable: Any, value: np.ndarray) -> None:
        variable.assign(value)

    def make_mask(self, shape: tuple[int, ...]) -> Any:
        return self._keras.Variable(
            np.ones(shape, bool),
            trainable=False,
            dtype="bool",
            aggregation="only_first_replica",
        )

    def make_index(self, index: np.ndarray) -> Any:
        return self._keras.Variable(index, trainable=False, dtype=index.dtype.name)

    def masked(self, mask: Any, value: Any) -> Any:
        # `where`, not a product: -1 * 0 is -0.0, which does not compress as a zero,
        # and NaN * 0 is NaN.
        ops = self._keras.ops
        # JAX takes tensors only; converted here, a variable gives its current value.
        return ops.where(ops.convert_to_tensor(mask), ops.convert_to_tensor(value), 0.0)

    def clustered(self, index: Any, counts: np.ndarray, value: Any) -> Any:
        ops = self._keras.ops
        value = ops.convert_to_tensor(value)
        return cluster_means(ops, ops.convert_to_tensor(index), counts, value)

    def constraint(self, variable: Any) -> Any:
        return variable.constraint

    def constrain(self, variable: Any, constraint: Any) -> None:
        try:
            variable.constraint = constraint
        except ValueError:  # Until 3.12, only Keras' own classes are accepted.
            variable._constraint = constraint

    def moving_average(self, optimizer: Any, variable: Any) -> Any:
        averages = getattr(optimizer, "_model_variables_moving_average", None)
        if not averages:
            return None
        try:
            return averages[optimizer._get_variable_index(variable)]
        except KeyError:  # The optimizer does not train it.
            return None
