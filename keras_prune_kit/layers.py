"""Layers that say themselves which of their weights can be pruned."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import keras

from keras_prune_kit._tools.checks import check_flag, check_whole


@runtime_checkable
class PrunableLayer(Protocol):
    """What a custom layer has so that its weights are pruned: one method.

    Without it a layer of your own is skipped, unless it is a subclass of one whose
    kernels are known. With it that method alone decides, in either world, and for
    TFMOT too, where the same protocol is the class `PrunableLayer` to inherit from.

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
        """The variables to prune; the layer is built when it is asked."""
        ...


@keras.saving.register_keras_serializable("keras_prune_kit")
class PrunableDense(keras.layers.Dense):
    """A Dense layer of Keras 3 whose bias can be pruned too.

    An ordinary Dense needs none of this: its kernel is pruned as it is. A bias is a
    single row, so only `Unstructured()` fits it; with another structure give it a rule
    of its own, `Rule(".*/bias", 0.5, structure=Unstructured())`.

    A process that loads a saved model must have named the class before, as in
    `custom_objects={"PrunableDense": kpk.PrunableDense}`: Keras loads no class that
    it was not shown.

    Args:
        units: Size of the output, as in `keras.layers.Dense`.
        activation: Likewise. Defaults to `None`.
        prune_bias: Whether the bias is pruned beside the kernel. Defaults to `False`.
        **kwargs: Whatever else `keras.layers.Dense` takes.

    Raises:
        ValueError: If there is no bias to prune.

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
                "prune_bias=True needs a bias. Received: use_bias=False. Leave one of "
                "the two out."
            )
        self.prune_bias = prune_bias

    def get_prunable_weights(self) -> list[Any]:
        """The kernel, and the bias if asked for."""
        return [self.kernel, self.bias] if self.prune_bias else [self.kernel]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prune_bias": self.prune_bias}
