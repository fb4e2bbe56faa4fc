"""Access to variables of either world: read, write and constrain."""

from __future__ import annotations

import abc
import sys
from typing import Any

import numpy as np

from keras_prune_kit._keras.models import optimizer_of, world


class NotFiniteError(ValueError):
    """A weight is NaN or infinite."""


class Variables(abc.ABC):
    """Access to the variables of one world."""

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

    def clustered(self, index: Any, counts: np.ndarray, value: Any) -> Any:
        """Return the value as a tensor, with members replaced by their cluster's mean.

        Args:
            index: The cluster index of each value.
            counts: The number of members per cluster; a count of 0 makes its mean zero.
            value: A variable or tensor.
        """
        tf = sys.modules["tensorflow"]
        value = tf.convert_to_tensor(value)
        index = tf.cast(index, tf.int32)
        # In float32, sums of many equal values have an error of constant sign, so that
        # weights would drift from step to step.
        sums = tf.math.bincount(
            tf.reshape(index, [-1]),
            weights=tf.reshape(tf.cast(value, tf.float64), [-1]),
            minlength=counts.size,
            maxlength=counts.size,
        )
        means = tf.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
        return tf.gather(tf.cast(means, value.dtype), index)

    def ignores_constraint(self, model: Any, variable: Any, layer: Any) -> bool:
        """Return True if the model's optimizer cannot apply a constraint to it."""
        return False


class Keras3Variables(Variables):
    """Access to the variables of Keras 3."""

    def __init__(self, keras: Any) -> None:
        self._keras = keras

    def read(self, variable: Any) -> np.ndarray:
        if self._keras.backend.backend() == "tensorflow":
            return _view(sys.modules["tensorflow"].convert_to_tensor(variable.value))
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
        return self._keras.ops.where(mask, value, 0.0)

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


class Keras2Variables(Variables):
    """Access to `tf_keras` variables: TensorFlow's, often wrapped once or twice."""

    def __init__(self, tf_keras: Any, tensorflow: Any) -> None:
        self._tf_keras = tf_keras
        self._tf = tensorflow

    def read(self, variable: Any) -> np.ndarray:
        return _view(self._tf.convert_to_tensor(self._parts(variable)[0]))

    def write(self, variable: Any, value: np.ndarray) -> None:
        variable.assign(value)

    def make_mask(self, shape: tuple[int, ...]) -> Any:
        return self._tf.Variable(np.ones(shape, bool), trainable=False)

    def make_index(self, index: np.ndarray) -> Any:
        return self._tf.Variable(index, trainable=False)

    def masked(self, mask: Any, value: Any) -> Any:
        return self._tf.where(mask, value, self._tf.zeros((), value.dtype))

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

    def ignores_constraint(self, model: Any, variable: Any, layer: Any) -> bool:
        # Legacy optimizers refuse a constraint on a variable with sparse gradients.
        keras = self._tf_keras
        return isinstance(layer, keras.layers.Embedding) and isinstance(
            optimizer_of(model), keras.optimizers.legacy.Optimizer
        )

    def _parts(self, variable: Any) -> list[Any]:
        """Return the inner variables, whose constraints optimizers apply.

        Mixed precision wraps a variable in an `AutoCastVariable`, a distribution
        strategy in one with a copy per replica; a constraint set on the wrapper would
        be ignored.
        """
        inner = getattr(variable, "_variable", variable)
        return list(getattr(inner, "values", [inner]))


def variables_of(model: Any) -> Variables:
    """Return the access to the variables of the model's world."""
    keras = world(model)
    if keras.__name__ == "keras":
        return Keras3Variables(keras)
    return Keras2Variables(keras, sys.modules["tensorflow"])


def _view(tensor: Any) -> np.ndarray:
    """Return a read-only view of a TensorFlow tensor, or a copy for bfloat16.

    TensorFlow copies on write, so the view keeps its values; copying a large model
    takes as long as ranking it.
    """
    if tensor.dtype.name == "bfloat16":
        return tensor.numpy()
    view = np.asarray(memoryview(tensor))
    view.flags.writeable = False
    return view
