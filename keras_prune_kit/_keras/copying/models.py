"""Copies of whole models."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_prune_kit._keras.compiling import check_compiled, compile_like
from keras_prune_kit._keras.copying.layers import copy_layer
from keras_prune_kit._keras.copying.parts import (
    CopyError,
    advice_on,
    is_graph,
    parts_of,
)
from keras_prune_kit._keras.copying.state import copy_state
from keras_prune_kit._keras.models import first_line, world
from keras_prune_kit._keras.operations import tree_of


def clone(model: Any) -> Any:
    """Copy a model and compile the copy alike, with a new optimizer.

    Args:
        model: A built and compiled model.

    Returns:
        A model with bit-identical outputs and variables of its own.

    Raises:
        CopyError: If Keras cannot copy the model.
        ValueError: If the model was never compiled.
    """
    check_compiled(model)
    copied = copy_model(model)
    compile_like(model, copied)
    return copied


def copy_model(model: Any) -> Any:
    """Copy a built model and its state, without compiling the copy.

    Raises:
        CopyError: If Keras cannot copy the model.
    """
    copied = _Copier().copy(model)
    copy_state(model, copied)
    return copied


def inputs_like(model: Any) -> Any:
    """Create new inputs for a functional Keras 3 model, with the names of the old.

    `clone_model` would name them after tensors instead of layers.
    """

    def fresh(tensor: Any) -> Any:
        layer = tensor._keras_history.operation
        return type(layer).from_config(layer.get_config()).output

    return world(model).tree.map_structure(fresh, model.input)


def clone_with(
    model: Any, make: Callable[[Any], Any], sizes: Sequence[int | None] | None = None
) -> Any:
    """Build a Sequential or functional model of either world from other layers.

    Args:
        model: A built model.
        make: Returns the replacement of a layer, an operation or a model inside.
        sizes: The size of the last axis of each input, for a model inside another one;
            `None` in it for an input that stays as it is. Defaults to `None`: all stay.

    Returns:
        A model of the same class, not compiled.
    """
    keras = world(model)
    arguments: dict[str, Any] = {"clone_function": make}
    if sizes is not None:
        arguments["input_tensors"] = _resized_inputs(model, sizes)
    elif keras.__name__ == "keras" and not isinstance(model, keras.Sequential):
        arguments["input_tensors"] = inputs_like(model)
    with uncompiled(model):
        copied = keras.models.clone_model(model, **arguments)
    copied.trainable = model.trainable
    return copied


def _resized_inputs(model: Any, sizes: Sequence[int | None]) -> Any:
    """Create new inputs, with another size of the last axis where one is given."""
    keras = world(model)
    tree = tree_of(keras)
    left = iter(sizes)

    def fresh(tensor: Any) -> Any:
        size, shape = next(left), tuple(tensor.shape)
        return keras.Input(
            batch_shape=(*shape[:-1], shape[-1] if size is None else size),
            dtype=getattr(tensor.dtype, "name", tensor.dtype),
            name=_producer(tensor).name,
        )

    return tree.map_structure(fresh, model.input)


def _producer(tensor: Any) -> Any:
    """Return the input layer of a symbolic tensor; Keras 2 names it `layer`."""
    history = tensor._keras_history
    return getattr(history, "operation", None) or history.layer


@contextlib.contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """Make a model look uncompiled, so that `clone_model` does not compile the clone.

    It would recreate the loss and the metrics from their configurations, which fails
    for a user's own functions.
    """
    # Keras 2 has no such attribute, and its `clone_model` does not compile.
    parts = [part for part in parts_of(model) if getattr(part, "compiled", False)]
    for part in parts:
        part.compiled = False
    try:
        yield
    finally:
        for part in parts:
            part.compiled = True


class _Copier:
    """Copier of models and nested models that copies shared layers only once."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def copy(self, layer: Any) -> Any:
        # A shared layer must stay shared, or its weight would be stored and trained
        # twice.
        if id(layer) not in self._made:
            self._made[id(layer)] = self._make(layer)
        return self._made[id(layer)]

    def _make(self, layer: Any) -> Any:
        copied = self._clone_or_load(layer) if is_graph(layer) else copy_layer(layer)
        if type(copied) is not type(layer):
            # `clone_model` returned a plain model, as the constructor of this subclass
            # does not accept layers; its `from_config` keeps the class.
            copied = copy_layer(layer)
        is_model = hasattr(layer, "get_build_config") and hasattr(layer, "fit")
        if is_model and layer.built and not copied.built:
            self._build(layer, copied)
        return copied

    def _clone_or_load(self, model: Any) -> Any:
        """Clone layer by layer, or copy from the config if a layer cannot be copied."""
        try:
            return self._clone(model)
        except CopyError:
            with contextlib.suppress(CopyError), uncompiled(model):
                # If this fails, too, the first error is raised again, which names the
                # layer.
                return copy_layer(model)
            raise

    def _clone(self, model: Any) -> Any:
        keras = world(model)
        arguments: dict[str, Any] = {"clone_function": self.copy}
        if keras.__name__ == "keras" and not isinstance(model, keras.Sequential):
            arguments["input_tensors"] = inputs_like(model)
        with uncompiled(model):
            try:
                return keras.models.clone_model(model, **arguments)
            except CopyError:
                raise
            except Exception as error:  # It calls layers, which can raise any error.
                raise _cannot(model, error) from error

    @staticmethod
    def _build(model: Any, copied: Any) -> None:
        try:
            copied.build_from_config(model.get_build_config())
            copied.built = True  # As Keras sets it after loading.
        except Exception as error:  # A custom layer can raise any error.
            raise _cannot(model, error) from error


def _cannot(model: Any, error: Exception) -> CopyError:
    return CopyError(
        f"Keras cannot copy model '{model.name}' of class {type(model).__name__}: "
        f"{first_line(error)}. {advice_on(model)}"
    )
