"""A Dense layer that says itself what is to be pruned."""

from __future__ import annotations

import functools
from typing import Any

from keras_prune_kit._tools.checks import check_flag, check_whole
from keras_prune_kit.tfmot._import import tf_keras, tfmot


@functools.cache
def prunable_dense() -> Any:
    """The class `PrunableDense`, made when it is first asked for."""
    keras = tf_keras()

    @keras.utils.register_keras_serializable(package="keras_prune_kit.tfmot")
    class PrunableDense(keras.layers.Dense, tfmot().sparsity.keras.PrunableLayer):  # pyright: ignore
        """A `tf_keras` Dense layer that names its kernel, and its bias if asked, as
        prunable.

        Honoured by `kpk.PruningCallback`, by `kpk.tfmot.wrap` and by TFMOT. A model
        with it loads where `kpk.tfmot.PrunableDense` was used once, or through
        `kpk.tfmot.load`.

        Args:
            units: Number of outputs, as for Dense.
            prune_bias: Whether the bias is pruned too. Defaults to `False`.
            **kwargs: As for Dense.

        Example:

        >>> from keras_prune_kit.tfmot import PrunableDense
        >>> layer = PrunableDense(4, prune_bias=True)
        >>> layer.build((None, 8))
        >>> [weight.shape.rank for weight in layer.get_prunable_weights()]
        [2, 1]
        """

        def __init__(
            self, units: int, *, prune_bias: bool = False, **kwargs: Any
        ) -> None:
            check_whole("units", units)
            check_flag("prune_bias", prune_bias)
            super().__init__(units, **kwargs)
            self.prune_bias = prune_bias

        def get_prunable_weights(self) -> list[Any]:
            """The kernel, and the bias if that is to be pruned too."""
            is_pruned = self.prune_bias and self.use_bias
            return [self.kernel, self.bias] if is_pruned else [self.kernel]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "prune_bias": self.prune_bias}

    PrunableDense.__module__ = "keras_prune_kit.tfmot"
    PrunableDense.__qualname__ = "PrunableDense"
    return PrunableDense
