"""Built-in Keras classes and their public names, as policies serialize them."""

from __future__ import annotations

import sys

WORLDS = ("keras", "tf_keras")


def is_of_keras(item: object) -> bool:
    """Return True for a class or function from `keras` or `tf_keras`."""
    module = getattr(item, "__module__", None) or ""
    return module.partition(".")[0] in WORLDS


def is_of_keras_hub(item: object) -> bool:
    """Return True for a class or function from KerasHub."""
    module = getattr(item, "__module__", None) or ""
    return module.partition(".")[0] == "keras_hub"


def known_kind(operation: object) -> str | None:
    """Return the name of the Keras class that decides what a layer or operation does.

    Args:
        operation: A layer or operation of either world, or of a subclass.

    Returns:
        The name of a class of layers, `"ops."` and the name for an operation of Keras
        3, `"tf."` and the name for a function in a graph of Keras 2; `None` for a class
        that computes something of its own.
    """
    for base in type(operation).__mro__:
        if is_of_keras(base):
            if base.__name__ == "TFOpLambda":
                return f"tf.{getattr(operation, 'symbol', None)}"
            is_operation = base.__module__.startswith("keras.src.ops.")
            return f"ops.{base.__name__}" if is_operation else base.__name__
        if {"call", "build", "__call__"} & vars(base).keys():
            return None
    return None


def layer_class(name: str) -> type:
    """Return the layer class of a name such as `"keras.layers.Dense"`.

    Raises:
        ValueError: If it is not in `keras.layers` or `tf_keras.layers`, or that package
            is not imported.
    """
    root, _, rest = name.partition(".")
    namespace, _, class_name = rest.partition(".")
    layers = getattr(sys.modules.get(root), "layers", None)
    found = getattr(layers, class_name, None)
    if root not in WORLDS or namespace != "layers" or not isinstance(found, type):
        raise ValueError(
            "A layer class is named as keras.layers.NAME or tf_keras.layers.NAME, and "
            f"that package must be imported. Received: {name!r}."
        )
    return found


def layer_class_name(kind: type) -> str:
    """Return the public name of a built-in layer class; the inverse of `layer_class`.

    Raises:
        ValueError: If it is not a class of `keras.layers` or `tf_keras.layers`.
    """
    name = f"{kind.__module__.partition('.')[0]}.layers.{kind.__name__}"
    try:
        known = layer_class(name) is kind
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            "Only built-in layer classes can be serialized. Match a custom layer by "
            f"a regex on its path instead. Received: {kind!r}."
        )
    return name
