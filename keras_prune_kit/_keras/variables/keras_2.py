"""Access to the variables of Keras 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit._keras.models import inner_optimizer
from keras_prune_kit._keras.operations import ops_of
from keras_prune_kit._keras.variables.access import Variables
from keras_prune_kit._keras.variables.tensors import cluster_means, view


class Keras2Variables(Variables):
    """Access to `tf_keras` variables: TensorFlow's, often wrapped once or twice."""

    def __init__(self, tf_keras: Any, tensorflow: Any) -> None:
        self._tf_keras = tf_keras
        self._tf = tensorflow

    def read(self, variable: Any) -> np.ndarray:
        return view(self._tf.convert_to_tensor(self._parts(variable)[0]))

    def write(self, variable: Any, value: np.ndarray) -> None:
        variable.assign(value)

    def make_mask(self, shape: tuple[int, ...]) -> Any:
        return self._tf.Variable(np.ones(shape, bool), trainable=False)

    def make_index(self, index: np.ndarray) -> Any:
        return self._tf.Variable(index, trainable=False)

    def masked(self, mask: Any, value: Any) -> Any:
        return self._tf.where(mask, value, self._tf.zeros((), value.dtype))

    def clustered(self, index: Any, counts: np.ndarray, value: Any) -> Any:
        ops = ops_of(self._tf_keras)
        value = ops.convert_to_tensor(value)
        return cluster_means(ops, ops.convert_to_tensor(index), counts, value)

    def constraint(self, variable: Any) -> Any:
        return self._parts(variable)[0].constraint

    def constrain(self, variable: Any, constraint: Any) -> None:
        for part in self._parts(variable):
            # `constraint` of a TensorFlow variable is a property without a setter.
            part._constraint = constraint

    def moving_average(self, optimizer: Any, variable: Any) -> Any:
        averages = getattr(optimizer, "_model_variables_moving_average", None)
        if not averages:
            return None
        index = optimizer._index_dict.get(optimizer._var_key(variable))
        return None if index is None else averages[index]

    def ignores_constraint(self, optimizer: Any, layer: Any) -> bool:
        # Legacy optimizers refuse a constraint on a variable with sparse gradients.
        keras = self._tf_keras
        return isinstance(layer, keras.layers.Embedding) and isinstance(
            inner_optimizer(optimizer), keras.optimizers.legacy.Optimizer
        )

    def _parts(self, variable: Any) -> list[Any]:
        """Return the inner variables, whose constraints optimizers apply.

        Mixed precision wraps a variable in an `AutoCastVariable`, a distribution
        strategy in one with a copy per replica; a constraint set on the wrapper would
        be ignored.
        """
        inner = getattr(variable, "_variable", variable)
        return list(getattr(inner, "values", [inner]))
