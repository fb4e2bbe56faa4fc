"""Stripping of TFMOT's quantization wrappers from a model."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tfmot._import import tf_keras
from keras_prune_kit.tfmot._models import clone_layers

_WRAPPERS = ("QuantizeWrapper", "QuantizeWrapperV2")
_ROUNDED_INPUT = "QuantizeLayer"


def strip_quantization(model: Any) -> Any:
    """Copy a quantization-aware `tf_keras` model as a plain float model.

    A linear activation remains where TFMOT rounds the input of a functional model:
    Keras 2 can replace a layer in a graph, but not remove it.

    Args:
        model: A model from `quantize_aware`. It is not changed.

    Returns:
        An ordinary model whose kernels keep their rounded values.
    """
    copies: list[tuple[Any, dict[str, Any]]] = []
    plain: list[tuple[Any, Any]] = []

    def copy(layer: Any) -> Any:
        if type(layer).__name__ == _ROUNDED_INPUT:
            return tf_keras().layers.Activation("linear", name=layer.name)
        if type(layer).__name__ in _WRAPPERS:
            fresh = _inner_layer(layer)
            copies.append((fresh, _rounded_weights(layer)))
            return fresh
        fresh = _keras.copy_layer(layer)
        plain.append((layer, fresh))
        return fresh

    stripped = clone_layers(model, copy)
    if isinstance(stripped, tf_keras().Sequential):
        stripped = _without_rounded_input(model, stripped)
    for layer, fresh in plain:
        _keras.copy_state(layer, fresh)
    for fresh, values in copies:
        for name, variable in _by_name(fresh.weights).items():
            variable.assign(values[name])
    _keras.compile_like(model, stripped)
    return stripped


def _inner_layer(wrapper: Any) -> Any:
    """Return a copy of a wrapped layer with its original activation."""
    config = wrapper.layer.get_config()
    if "activation" in config:
        activation = wrapper.layer.activation
        activation = getattr(activation, "activation", activation)
        # TFMOT's form of linear, which marks an output that it does not round.
        if type(activation).__name__ == "NoOpActivation":
            activation = tf_keras().activations.linear
        config["activation"] = tf_keras().activations.serialize(activation)
    return type(wrapper.layer).from_config(config)


def _rounded_weights(wrapper: Any) -> dict[str, Any]:
    values = _by_name([*wrapper.weights, *wrapper.layer.weights])
    for variable, quantizer, ranges in wrapper._weight_vars:
        # Not in training, where the quantizer would update its ranges.
        values |= _by_name([variable], quantizer(variable, False, weights=ranges))
    return values


def _by_name(variables: list[Any], value: Any = None) -> dict[str, Any]:
    """Map the short name of each variable to the variable, or to `value` if given."""
    return {
        # Keras 2 names variables "layer/kernel:0", inside wrappers with more prefixes.
        variable.name.partition(":")[0].rpartition("/")[2]: (
            variable if value is None else value
        )
        for variable in variables
    }


def _without_rounded_input(model: Any, stripped: Any) -> Any:
    kept = [
        new
        for old, new in zip(model.layers, stripped.layers, strict=True)
        if type(old).__name__ != _ROUNDED_INPUT
    ]
    shape, dtype = stripped.input_shape, stripped.inputs[0].dtype
    inputs = tf_keras().layers.Input(batch_shape=shape, dtype=dtype)
    return tf_keras().Sequential([inputs, *kept], name=model.name)
