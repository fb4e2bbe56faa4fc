"""Layers that name their prunable weights themselves."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import keras

from keras_prune_kit._tools.checks import check_flag, check_whole


@runtime_checkable
class PrunableLayer(Protocol):
    """The protocol of a custom layer with weights to prune: one method.

    A custom layer without this method is skipped, unless it is a subclass of a layer
    whose kernels are known. With it, only the method decides, in Keras 3 and in
    `tf_keras`. TFMOT reads the same method from subclasses of its `PrunableLayer`.

    Example:

    ```python
    class Scale(keras.layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=input_shape[1:], name="scale")

        def call(self, inputs):
            return inputs * self.scale

        def get_prunable_weights(self):
            return [self.scale]


    isinstance(Scale(), kpk.PrunableLayer)  # True
    ```
    """

    def get_prunable_weights(self) -> list[Any]:
        """Return the variables to prune; called when the layer is built."""
        ...


@keras.saving.register_keras_serializable("keras_prune_kit")
class PrunableDense(keras.layers.Dense):
    """A Dense layer of Keras 3 whose bias can be pruned too.

    The kernel of an ordinary Dense is pruned without it. A bias has a single axis, so
    only `Unstructured()` fits it; with another structure add a rule for it:
    `Rule(".*/bias", 0.5, structure=Unstructured())`.

    A process that loads a saved model must use the class first, for example in
    `custom_objects={"PrunableDense": kpk.PrunableDense}`. That registers it, and Keras
    loads only registered classes.

    Args:
        units: Size of the output, as in `keras.layers.Dense`.
        activation: Activation, as in `keras.layers.Dense`. Defaults to `None`.
        prune_bias: If True, the bias is pruned in addition to the kernel. Defaults to
            `False`.
        **kwargs: Passed to `keras.layers.Dense`.

    Raises:
        ValueError: If `prune_bias` is True and `use_bias` is False.

    Example:

    >>> layer = kpk.PrunableDense(4, prune_bias=True)
    >>> layer.build((None, 8))
    >>> [tuple(variable.shape) for variable in layer.get_prunable_weights()]
    [(8, 4), (4,)]
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        *,
        prune_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        check_whole("units", units)
        check_flag("prune_bias", prune_bias)
        super().__init__(units, activation, **kwargs)
        if prune_bias and not self.use_bias:
            raise ValueError(
                "prune_bias=True needs a bias. Received: use_bias=False. Remove one of "
                "the two arguments."
            )
        self.prune_bias = prune_bias

    def get_prunable_weights(self) -> list[Any]:
        """Return the kernel, and the bias if `prune_bias` is True."""
        # Under a LoRA adapter `kernel` is a sum, of which `_kernel` is the base.
        kernel = self._kernel if self.lora_enabled else self.kernel
        return [kernel, self.bias] if self.prune_bias else [kernel]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prune_bias": self.prune_bias}
