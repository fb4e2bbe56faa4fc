"""The inputs of a Keras model: names, shapes and dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_prune_kit._keras.models import check_built, is_tf_keras


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    Attributes:
        name: The name, which is also the key if the model is called with a dict.
        shape: The shape with the batch axis first; `None` for a dynamic size.
        dtype: The dtype, such as `"float32"`.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def shape_text(self) -> str:
        """The shape of a batch as text, such as `"(n, 8)"`."""
        sizes = ("any" if size is None else str(size) for size in self.shape[1:])
        return f"({', '.join(['n', *sizes])})"


@dataclass(frozen=True)
class Signature:
    """All inputs of a model and the structure in which its `call` expects them.

    Attributes:
        inputs: The inputs, in the order of the model.
        container: `dict`, `list`, or `object` for a single tensor.
    """

    inputs: tuple[ModelInput, ...]
    container: type

    def pack(self, tensors: Sequence[Any]) -> Any:
        """Arrange one tensor per input into the argument of the model's `call`."""
        if self.container is dict:
            names = (item.name for item in self.inputs)
            return dict(zip(names, tensors, strict=True))
        return tensors[0] if self.container is object else list(tensors)


def signature_of(model: Any) -> Signature:
    """Return the inputs of a built Keras model.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If the model is not built, `call` has several arguments, or the
            inputs are nested deeper than one list or dict.
    """
    is_keras_2 = is_tf_keras(model)
    check_built(model)
    structure = _structure(model, is_keras_2)
    if isinstance(structure, dict):
        container: type = dict
        names, specs = list(structure), list(structure.values())
    elif isinstance(structure, list | tuple):
        container = list
        names, specs = _names_of(structure), list(structure)
    else:
        container = object
        names, specs = _names_of([structure]), [structure]
    if not all(hasattr(spec, "dtype") for spec in specs):
        raise ValueError(
            "Only models whose input is one tensor, a list or a dict of tensors can "
            f"be exported. Model '{model.name}' has the input: {structure}."
        )
    return Signature(
        tuple(
            ModelInput(name, tuple(spec.shape), _dtype_name(spec.dtype))
            for name, spec in zip(names, specs, strict=True)
        ),
        container,
    )


@dataclass(frozen=True)
class _Spec:
    shape: tuple[int | None, ...]
    dtype: str
    name: str = ""


def _structure(model: Any, is_keras_2: bool) -> Any:
    """Return the input of `call` as one spec, or a list or dict of specs."""
    if getattr(model, "inputs", None):
        # No public attribute tells whether the inputs are a dict or a list: `inputs`
        # is a flat list in both cases. The first name is Keras 3's.
        nested = getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", 0))
        if isinstance(nested, dict):
            return dict(nested)
        return model.inputs[0] if len(model.inputs) == 1 else list(model.inputs)
    structure = _keras_2_subclass(model) if is_keras_2 else _keras_3_subclass(model)
    if structure is None:
        raise ValueError(
            f"Model '{model.name}' has never been called, so the shape of its inputs "
            "is not known. Call it on one batch first."
        )
    return structure


def _keras_3_subclass(model: Any) -> Any:
    # A subclassed model records shapes only, and several arguments as `shapes_dict`.
    config = model.get_build_config() or {}
    # Without a `shapes_dict` there is one argument, for which "1" stands in.
    _check_one_argument(model, len(config.get("shapes_dict", "1")))
    shape = config.get("input_shape")
    return None if shape is None else _specs_of(shape, model.input_dtype)


def _keras_2_subclass(model: Any) -> Any:
    spec = model.save_spec(dynamic_batch=True)
    if spec is None:
        return None
    arguments, _ = spec
    _check_one_argument(model, len(arguments))
    return arguments[0]


def _check_one_argument(model: Any, count: int) -> None:
    if count != 1:
        raise ValueError(
            "A model to export must receive all inputs in one argument of call(). "
            f"That of model '{model.name}' has {count}; combine them into one list or "
            "dict."
        )


def _specs_of(shape: Any, dtype: str) -> Any:
    if isinstance(shape, dict):
        return {key: _specs_of(inner, dtype) for key, inner in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        # Keras recorded the batch size of the first call, which may differ later.
        return _Spec((None, *shape[1:]), dtype)
    return [_specs_of(inner, dtype) for inner in shape]


def _names_of(specs: Sequence[Any]) -> list[str]:
    """Return the input names, or `input_0`, `input_1`, ... if some miss or repeat."""
    # Names of Keras 2 tensors end in ":0".
    names = [(getattr(spec, "name", "") or "").partition(":")[0] for spec in specs]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"input_{index}" for index in range(len(names))]


def _dtype_name(dtype: Any) -> str:
    # A dtype is a string in Keras 3 and an object in Keras 2.
    return getattr(dtype, "name", dtype)
