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
        for variables, values in zip(
            self._inside(self._optimizer), self._outside, strict=True
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def take_in(self, optimizer: Any, trainable: Any, rest: Any) -> None:
        if optimizer is None or not optimizer.built:
            raise ValueError(
                "stateless_step needs a built optimizer. Received: "
                f"{optimizer!r}. Call optimizer.build(model.trainable_variables), and "
                "pass optimizer=... to the pruner or compile the model with it."
            )
        named = {"trainable_variables": trainable, "optimizer_variables": rest}
        for (name, values), variables in zip(
            named.items(), self._inside(optimizer), strict=True
        ):
            _check_state(name, values, variables)
        self._optimizer, self._outside = optimizer, (list(trainable), list(rest))
        self._is_written = False

    def give_out(self) -> tuple[list[Any], list[Any]]:
        if not self._is_written and self._outside is not None:
            return self._outside
        trainable, rest = self._inside(self._optimizer)
        return [v.value for v in trainable], [v.value for v in rest]

    @staticmethod
    def _inside(optimizer: Any) -> tuple[list[Any], list[Any]]:
        """Return the variables that the state of an optimizer stands for."""
        return inner_optimizer(optimizer)._trainable_variables, optimizer.variables

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


def _check_state(name: str, values: Any, variables: list[Any]) -> None:
    """Raise an error unless there is a tensor of its shape for each variable."""
    if not isinstance(values, list | tuple):
        raise TypeError(
            f"{name} is a list of tensors, as stateless_apply returns it. Received: "
            f"{type(values).__name__}."
        )
    shapes = [tuple(getattr(value, "shape", (None,))) for value in values]
    wanted = [tuple(variable.shape) for variable in variables]
    if shapes != wanted:
        raise ValueError(
            f"{name} must have a tensor of the same shape for each of the optimizer's "
            f"variables, {len(wanted)} here. Received: {len(shapes)}, of shapes "
            f"{shapes[:8]}. Take optimizer.variables after the pruner has started, as "
            "the masks are among them."
        )
