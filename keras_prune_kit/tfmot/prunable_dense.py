"""A `tf_keras` Dense layer that names its prunable weights itself."""

from __future__ import annotations

import functools
from typing import Any

from keras_prune_kit._tools.checks import check_flag, check_whole
from keras_prune_kit.tfmot._import import tf_keras, tfmot


@functools.cache
def prunable_dense() -> Any:
    """Return the class `PrunableDense`, created on the first call."""
    keras = tf_keras()

    @keras.utils.register_keras_serializable(package="keras_prune_kit.tfmot")
    class PrunableDense(keras.layers.Dense, tfmot().sparsity.keras.PrunableLayer):  # pyright: ignore
        """A Dense layer of `tf_keras` whose bias can be pruned too.

        `kpk.PruningCallback`, `kpk.tfmot.wrap` and TFMOT respect it. To load a model
        with it, use `kpk.tfmot.load`, or use `kpk.tfmot.PrunableDense` in the process
        first, which registers the class.

        Args:
            units: Size of the output, as in `tf_keras.layers.Dense`.
            prune_bias: If True, the bias is pruned in addition to the kernel. Defaults
                to `False`.
            **kwargs: Passed to `tf_keras.layers.Dense`.

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
            """Return the kernel, and the bias if there is one to prune."""
            is_pruned = self.prune_bias and self.use_bias
            return [self.kernel, self.bias] if is_pruned else [self.kernel]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "prune_bias": self.prune_bias}

    # Saved models name a class by its module; this is where it can be found, not
    # in the function that makes it.
    PrunableDense.__module__ = "keras_prune_kit.tfmot"
    PrunableDense.__qualname__ = "PrunableDense"
    return PrunableDense
