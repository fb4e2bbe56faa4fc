"""TFMOT's pruning wrapper, extended to layers and cases that TFMOT does not cover."""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.tfmot._import import core
from keras_prune_kit.tfmot._schedules import cosine_decay


@functools.cache
def wrapper_class() -> Any:
    """Return `PruneLowMagnitude`, a subclass of TFMOT's wrapper of the same name.

    It also accepts layers that TFMOT's registry does not know (subclasses,
    Bidirectional, TimeDistributed, EinsumDense), passes masks and further inputs to the
    layer, saves `sparsity_m_by_n`, and raises an error if nothing counts the steps.
    """
    import tensorflow as tf

    Base = core("sparsity.keras.pruning_wrapper").PruneLowMagnitude
    keras = core("keras.compat").keras

    class PruneLowMagnitude(Base):
        """Prunes the layer that it wraps."""

        def __init__(self, layer: Any, *args: Any, **kwargs: Any) -> None:
            self._names_weights_itself = hasattr(layer, "get_prunable_weights")
            if not self._names_weights_itself:
                # Base refuses unknown layers without this method. `build` replaces it,
                # since a layer has no weights before.
                layer.get_prunable_weights = list
            super().__init__(layer, *args, **kwargs)
            self.supports_masking = layer.supports_masking

        def build(self, input_shape: Any = None) -> None:
            # Before Base, whose `build` asks the layer for its prunable weights.
            if not self.layer.built:
                self.layer.build(input_shape)
                self.layer.built = True
            if isinstance(self.layer, keras.layers.MultiHeadAttention):
                _build_projections(self.layer)
            if not self._names_weights_itself:
                self.layer.get_prunable_weights = functools.partial(
                    list, _kernels(self.layer)
                )
            super().build(input_shape)

        def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            accepted = list(inspect.signature(self.layer.call).parameters)
            # TFMOT's `call` takes further arguments by name only.
            kwargs.update(zip(accepted[1:], args, strict=False))
            training = kwargs.pop("training", None)
            if "mask" not in accepted:
                kwargs.pop("mask", None)
            _check_started(self, training)
            return Base.call(self, inputs, training=training, **kwargs)

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return self.layer.compute_mask(inputs, mask)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "sparsity_m_by_n": self.sparsity_m_by_n}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            # TFMOT's `from_config` knows only the schedules of TFMOT.
            with keras.utils.custom_object_scope({"CosineDecay": cosine_decay()}):
                return super().from_config(config)

    @tf.autograph.experimental.do_not_convert
    def _check_started(wrapper: Any, training: Any) -> None:
        """Raise if no callback counts steps; runs when the train step is traced."""
        if training is not True and training != 1:
            return
        # In the graph that is being traced, a variable has no value to read.
        with tf.init_scope():
            if step_of(wrapper) == -1:
                raise RuntimeError(
                    "A model wrapped by kpk.tfmot.wrap() needs something that counts "
                    f"training steps. Nothing counts those of '{wrapper.layer.name}'. "
                    "Train with model.fit(..., callbacks=[*kpk.tfmot.callbacks()]), or "
                    "use kpk.tfmot.LoopPruning(model) around a custom loop."
                )

    return PruneLowMagnitude


def step_of(wrapper: Any) -> int:
    """Return the training steps that a wrapper has counted; -1 before the start."""
    # Under a distribution strategy it has one value per replica.
    variable = wrapper.pruning_step
    return int(getattr(variable, "values", [variable])[0].numpy())


def _build_projections(layer: Any) -> None:
    """Build the kernels of MultiHeadAttention, which creates them on its first call."""
    heads = (*layer._query_shape[:-1], layer._num_heads, layer._value_dim)
    for projection, shape in (
        (layer._query_dense, layer._query_shape),
        (layer._key_dense, layer._key_shape),
        (layer._value_dense, layer._value_shape),
        (layer._output_dense, heads),
    ):
        if not projection.built:
            projection.build(shape)


def _kernels(layer: Any) -> list[Any]:
    """Return the prunable weights of a built layer and of the layers inside it."""
    # Else `find_weights` would ask the stand-in, which names no weights.
    del layer.get_prunable_weights
    return [
        found.variable
        for found in _keras.find_weights(types.SimpleNamespace(layers=[layer]))
        if isinstance(found, _keras.PrunableWeight)
    ]
