"""Copying layers and models: the same computation, with variables of its own.

Keras keeps a model as a configuration, variables and assets (a vocabulary, say), each
asked of the layer itself: `get_config`, `save_own_variables`, `save_assets`. A copy is
made from the same three, in memory. Functions alone are handed over as they are, where
Keras would look them up by name or rebuild them from bytecode.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit._keras.compiling import check_compiled, compile_like
from keras_prune_kit._keras.layer_classes import WORLDS
from keras_prune_kit._keras.models import first_line, world
from keras_prune_kit._keras.weights import walk

# The functions that layers being copied were given, by the names of their stand-ins.
_handed_over: dict[str, Any] = {}

_OF_EVERY_LAYER = ("name", "trainable", "dtype")

_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)


class CopyError(ValueError):
    """A layer or model cannot be copied; the message has Keras' own reason."""


def clone(model: Any) -> Any:
    """Copy a model, compiled alike with a fresh optimizer.

    Args:
        model: A built and compiled model.

    Returns:
        A model that computes the same to the bit, with variables of its own.

    Raises:
        CopyError: If Keras cannot copy the model.
        ValueError: If it was never compiled.
    """
    check_compiled(model)
    copied = copy_model(model)
    compile_like(model, copied)
    return copied


def copy_model(model: Any) -> Any:
    """Copy a built model with its state; the copy is not compiled.

    Raises:
        CopyError: If Keras cannot copy the model.
    """
    copied = _Copier().copy(model)
    copy_state(model, copied)
    return copied


def copy_layer(layer: Any) -> Any:
    """Make a layer or operation of the same configuration, without its state.

    Raises:
        CopyError: If its class cannot be made from its configuration.
    """
    try:
        if _is_lambda(layer):
            return _copy_lambda(layer)
        return _from_config(layer)
    except Exception as error:  # Custom layers can raise anything.
        raise CopyError(
            f"Keras cannot copy layer '{layer.name}' of class {type(layer).__name__}: "
            f"{first_line(error)}. {_advice(layer)}"
        ) from error


def _from_config(layer: Any) -> Any:
    parts = _parts(layer)
    with _named_functions(parts) as functions:
        config = _accepted(layer, _unbuilt(layer.get_config()))
    with _loading(parts, functions):
        fresh = type(layer).from_config(config)
        _hand_over(parts, _parts(fresh))
    return fresh


def _accepted(layer: Any, config: Any) -> Any:
    """Leave out what Keras adds to a configuration that a constructor does not take.

    Name and trainability are handed over later, with the state.
    """
    parameters = inspect.signature(type(layer).__init__).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds or not isinstance(config, dict):
        return config
    return {
        key: value
        for key, value in config.items()
        if key in parameters or key not in _OF_EVERY_LAYER
    }


def _unbuilt(config: Any) -> Any:
    """Leave out how layers inside were built: those around them build them anew."""
    if isinstance(config, dict):
        is_object = "class_name" in config
        return {
            key: _unbuilt(value)
            for key, value in config.items()
            if not (is_object and key == "build_config")
        }
    return [_unbuilt(item) for item in config] if type(config) is list else config


def _adapt(source: Any, target: Any) -> None:
    """Hand over what Keras 2 neither configures nor saves of an adapted layer."""
    if type(source).__name__ == "Discretization" and _is_keras_2(source):
        target.bin_boundaries = list(source.bin_boundaries)


def _is_keras_2(layer: Any) -> bool:
    return _world_of_layer(layer).__name__ == "tf_keras"


def copy_state(old: Any, new: Any) -> None:
    """Give a copied layer or model the variables and assets of the old one.

    Args:
        old: A built layer or model.
        new: Its copy, built too.

    Raises:
        CopyError: If the copy has other layers or weights.
    """
    pairs = list(zip(_parts(old), _parts(new), strict=False))
    for source, target in pairs:
        try:
            _copy_own_state(source, target)
        except Exception as error:  # As above.
            raise CopyError(
                f"Keras cannot bring the state of layer '{source.name}' of class "
                f"{type(source).__name__} into a copy: {first_line(error)}. "
                f"{_advice(source)}"
            ) from error
    _check_weights(old, new)


def check_copy(model: Any, copied: Any, x: Any) -> None:
    """Make sure that a copy computes what the model does, by weights of its own.

    Args:
        model: A built model.
        copied: Its copy.
        x: Some samples of its inputs.

    Raises:
        CopyError: If it gives other outputs, or reaches back into the model.
    """
    if any(_is_stateful(part) for part in _parts(model)):
        return  # Running it would change it.
    first, second, got = (part.predict_on_batch(x) for part in (model, model, copied))
    if _are_equal(first, second) and not _are_equal(first, got):
        raise CopyError(
            f"A copy of model '{model.name}' computes something else than the model "
            "does: one of its layers keeps something that neither its get_config() nor "
            "its save_own_variables() tells. Add it there, or prune the model itself "
            "with PruningCallback."
        )
    _check_not_tied(model, copied, x)


def is_graph(model: Any) -> bool:
    """Return True for Sequential and functional models."""
    if not any(base.__name__ == "Model" for base in type(model).__mro__):
        return False
    keras = world(model)
    is_functional = getattr(model, "_is_graph_network", False) or (
        keras.__name__ == "keras" and hasattr(model, "_nodes_by_depth")
    )
    return isinstance(model, keras.Sequential) or is_functional


def inputs_like(model: Any) -> Any:
    """Make the inputs of a functional Keras 3 model anew, under their own names.

    `clone_model` would name them after tensors instead of layers.
    """

    def fresh(tensor: Any) -> Any:
        layer = tensor._keras_history.operation
        return type(layer).from_config(layer.get_config()).output

    return world(model).tree.map_structure(fresh, model.input)


@contextlib.contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """Let Keras' `clone_model` leave the loss alone.

    It would compile the clone anew from what it can write down of the loss and the
    metrics, which fails for a function of the user's own.
    """
    parts = [part for part in _parts(model) if getattr(part, "compiled", False)]
    for part in parts:
        part.compiled = False
    try:
        yield
    finally:
        for part in parts:
            part.compiled = True


class _Copier:
    """Copies models and the models in them; what is used twice is copied once."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def copy(self, layer: Any) -> Any:
        if id(layer) not in self._made:
            self._made[id(layer)] = self._make(layer)
        return self._made[id(layer)]

    def _make(self, layer: Any) -> Any:
        copied = self._clone(layer) if is_graph(layer) else copy_layer(layer)
        if type(copied) is not type(layer):
            # Its constructor takes something else than layers: as Keras loads it.
            copied = copy_layer(layer)
        is_model = hasattr(layer, "get_build_config") and hasattr(layer, "fit")
        if is_model and layer.built and not copied.built:
            self._build(layer, copied)
        return copied

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
            except Exception as error:  # Layers are called, those of users too.
                raise _cannot(model, error) from error

    @staticmethod
    def _build(model: Any, copied: Any) -> None:
        try:
            copied.build_from_config(model.get_build_config())
            copied.built = True  # As Keras says, too, of what it has loaded.
        except Exception as error:  # As above.
            raise _cannot(model, error) from error


def _cannot(model: Any, error: Exception) -> CopyError:
    return CopyError(
        f"Keras cannot copy model '{model.name}' of class {type(model).__name__}: "
        f"{first_line(error)}. {_advice(model)}"
    )


def _advice(layer: Any) -> str:
    """Say what helps with a layer or model of its class."""
    if is_graph(layer) and type(layer).__module__.partition(".")[0] in WORLDS:
        return "Prune the model itself with PruningCallback."
    return (
        f"Give class {type(layer).__name__} a get_config() that returns all arguments "
        "of its constructor, or prune the model itself with PruningCallback."
    )


def _parts(layer: Any) -> list[Any]:
    """List a layer and all layers in it once, each before those in it."""
    inside = (
        [layers[-1] for _, layers in walk(layer)]
        if hasattr(layer, "layers") or hasattr(layer, "_flatten_layers")
        else []  # An operation.
    )
    return list({id(part): part for part in (layer, *inside)}.values())


def _is_lambda(layer: Any) -> bool:
    is_keras = type(layer).__module__.partition(".")[0] in WORLDS
    return is_keras and type(layer).__name__ == "Lambda"


def _copy_lambda(layer: Any) -> Any:
    return type(layer)(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        trainable=layer.trainable,
        dtype=getattr(layer, "dtype_policy", None) or layer._dtype_policy,
    )


@contextlib.contextmanager
def _named_functions(parts: list[Any]) -> Iterator[dict[str, Any]]:
    """Put stand-ins with names of their own in place of functions, for `get_config`.

    Yields:
        The functions by the names of their stand-ins.
    """
    functions: dict[str, Any] = {}
    held = [
        (vars(part), key, value)
        for part in parts
        for key, value in _functions_of(part).items()
    ]
    try:
        for attributes, key, value in held:
            name = f"keras_prune_kit_function_{len(functions)}"
            functions[name] = value
            attributes[key] = _stand_in(name)
        yield functions
    finally:
        for attributes, key, value in held:
            attributes[key] = value


def _functions_of(layer: Any) -> dict[str, Any]:
    """List the functions that a layer was given, by attribute; not its methods."""
    return {
        key: value
        for key, value in vars(layer).items()
        if _is_function(value) and not hasattr(type(layer), key)
    }


def _is_function(value: Any) -> bool:
    """Return True for functions that Keras may not find again by their name."""
    if not isinstance(value, _FUNCTIONS):
        return False
    owner = getattr(value, "__self__", None)
    module = getattr(value, "__module__", None) or ""
    return owner is None and module.partition(".")[0] not in WORLDS


def _stand_in(name: str) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        # Keras 2 makes a Lambda inside another layer from the bytecode of this, which
        # brings no module along.
        from keras_prune_kit._keras.copying import call_handed_over

        return call_handed_over(name, args, kwargs)

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


def call_handed_over(name: str, args: Any, kwargs: Any) -> Any:
    """Call the function that a stand-in stands for, while a copy is made."""
    return _handed_over[name](*args, **kwargs)


def _hand_over(parts: list[Any], fresh: list[Any]) -> None:
    """Give copied layers the functions themselves where they got stand-ins."""
    for source, target in zip(parts, fresh, strict=False):
        for key, value in _functions_of(source).items():
            if key in _functions_of(target):
                vars(target)[key] = value
        _adapt(source, target)


@contextlib.contextmanager
def _loading(parts: list[Any], functions: dict[str, Any]) -> Iterator[None]:
    """Let Keras find what a configuration names, and load Lambdas inside others."""
    keras = _world_of_layer(parts[0])
    objects = [*parts, *(v for part in parts for v in _vars(part))]
    classes = {type(item) for item in objects if hasattr(item, "get_config")}
    known = {
        name: kind
        for kind in classes
        if kind.__module__.partition(".")[0] not in WORLDS
        for name in (kind.__name__, keras.saving.get_registered_name(kind))
    }
    library = importlib.import_module(f"{keras.__name__}.src.saving.serialization_lib")
    _handed_over.update(functions)
    try:
        with (
            keras.saving.custom_object_scope({**known, **functions}),
            library.SafeModeScope(False),
        ):
            yield
    finally:
        for name in functions:
            del _handed_over[name]


def _vars(part: Any) -> list[Any]:
    """List the values of a layer's attributes, those in lists and dicts too."""
    found = []
    for value in vars(part).values():
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, list | tuple):
            found += value
        else:
            found.append(value)
    return found


def _world_of_layer(layer: Any) -> types.ModuleType:
    """Return the package that a layer or operation is from."""
    for base in type(layer).__mro__:
        root = base.__module__.partition(".")[0]
        if root in WORLDS:
            return sys.modules[root]
    raise TypeError(f"A Keras layer is needed. Received: {type(layer).__name__}.")


def _copy_own_state(source: Any, target: Any) -> None:
    """Copy the state of one layer, without that of the layers in it."""
    if type(source) is not type(target):
        raise ValueError(f"the copy has a layer of class {type(target).__name__} there")
    if target.name != source.name:  # One that a constructor makes is numbered anew.
        setattr(target, "_name" if _is_keras_2(target) else "name", source.name)
    if target.trainable != source.trainable:
        target.trainable = source.trainable
    store: dict[str, Any] = {}
    source.save_own_variables(store)
    if store:
        target.load_own_variables(_Store(store))
    if hasattr(source, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            source.save_assets(folder)
            if any(Path(folder).iterdir()):
                target.load_assets(folder)
    for old, new in zip(_seeds(source), _seeds(target), strict=True):
        new.state.assign(old.state)


class _Store(dict):
    """What `load_own_variables` reads from: arrays, as they would be in a file."""

    def __getitem__(self, key: str) -> Any:
        return _array(super().__getitem__(key))


def _seeds(layer: Any) -> list[Any]:
    """List the seed generators of a Keras 3 layer."""
    return list(getattr(layer, "_seed_generators", ()))


def _check_weights(old: Any, new: Any) -> None:
    wanted, got = (
        # Tables of Keras 2 are among the weights, too.
        [_array(weight) for weight in part.weights if hasattr(weight, "numpy")]
        for part in (old, new)
    )
    if len(wanted) == len(got) and all(map(_is_same_array, wanted, got)):
        return
    raise CopyError(
        f"A copy of '{old.name}' has other weights than it: {len(got)} of shapes "
        f"{[w.shape for w in got][:8]} for {len(wanted)} of shapes "
        f"{[w.shape for w in wanted][:8]}. A layer that uses a weight of another one "
        "(a tied embedding) or makes layers outside of its constructor and build() "
        "cannot be copied: prune the model itself with PruningCallback."
    )


def _are_equal(first: Any, second: Any) -> bool:
    a, b = _flat(first), _flat(second)
    return len(a) == len(b) and all(map(_is_same_array, a, b))


def _flat(nest: Any) -> list[np.ndarray]:
    if isinstance(nest, dict):
        nest = [nest[key] for key in sorted(nest)]
    if isinstance(nest, list | tuple):
        return [array for item in nest for array in _flat(item)]
    return [np.asarray(nest)]


def _array(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _is_same_array(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _is_stateful(layer: Any) -> bool:
    return bool(getattr(layer, "stateful", False)) and hasattr(layer, "reset_states")


def _check_not_tied(model: Any, copied: Any, x: Any) -> None:
    """Raise if a copy computes with a weight of the model itself, as closures do."""
    tf = sys.modules.get("tensorflow")
    if tf is None or world(model).backend.backend() != "tensorflow":
        return
    with tf.GradientTape() as tape:
        copied(x, training=False)
    own = {id(_tf_variable(weight)): weight for weight in model.weights}
    shared = [own[id(v)] for v in tape.watched_variables() if id(v) in own]
    if shared:
        raise CopyError(
            f"A copy of model '{model.name}' would compute with a weight of the model "
            f"itself ({shared[0].name} of shape {tuple(shared[0].shape)}): a function "
            "in it, such as that of a Lambda, reaches for a layer from outside. Pass "
            "the layer as an argument of a layer class with get_config(), or prune the "
            "model itself with PruningCallback."
        )


def _tf_variable(weight: Any) -> Any:
    """Return the TensorFlow variable inside a Keras or an autocast one."""
    return getattr(weight, "_value", getattr(weight, "_variable", weight))
