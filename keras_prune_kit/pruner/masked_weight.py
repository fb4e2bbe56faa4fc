"""A weight with a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.pruner.errors import MaskNotAppliedWarning
from keras_prune_kit.pruner.held_weight import HeldWeight
from keras_prune_kit.structures import count_nonzero


class MaskedWeight(HeldWeight):
    """A weight some of whose values are held at zero.

    Args:
        path: Layer path and attribute.
        variable: The Keras variable.
        layer: The layer that owns it; `None` if that does not matter.
        variables: Handles variables of the model's world.

    Attributes:
        zeros: The number of values that the mask zeroes.
        is_proven: If True, the train step was checked since the last update of the
            mask.
    """

    projection_kind = _keras.MaskProjection
    warning = MaskNotAppliedWarning
    advice = (
        "The train step does not apply the mask of {path}; it is applied after each "
        "step instead. Usually it was compiled before the pruner started: start the "
        "pruner first, or compile the step again (a new tf.function, jax.jit or "
        "torch.compile)."
    )

    def __init__(
        self, path: str, variable: Any, layer: Any, variables: _keras.Variables
    ) -> None:
        super().__init__(path, variable, layer, variables)
        self._mask: Any = None
        self.zeros = 0
        self.is_proven = True

    def is_projected(self) -> bool:
        """Return True if the weight has at least as many zeros as the mask."""
        return bool(count_nonzero(self.read()) <= self.size - self.zeros)

    @property
    def mask(self) -> Any:
        """The variable of the mask; `None` while there is none."""
        return self._mask

    def attach(self, optimizer: Any, mask: Any = None) -> None:
        """Constrain the weight to a mask that is `True` everywhere at first.

        Args:
            optimizer: The optimizer that trains the weight, or `None` if unknown.
            mask: The variable of an earlier mask to use again. Defaults to a new one.
        """
        shape = tuple(self.variable.shape)
        if mask is not None:
            self._variables.write(mask, np.ones(shape, bool))
        self._mask = self._variables.make_mask(shape) if mask is None else mask
        self.zeros = 0
        self.hold(_keras.MaskProjection(self._variables, self._mask), optimizer)

    def detach(self) -> None:
        """Remove mask and constraint; the user's own constraint stays."""
        super().detach()
        self._mask = None

    def set_mask(self, mask: np.ndarray) -> None:
        """Assign a mask of the weight's shape and apply it."""
        self.zeros = mask.size - int(np.count_nonzero(mask))
        self._variables.write(self._mask, mask)
        # A mask without zeros cannot show whether it is applied.
        self.is_proven = self.zeros == 0
        self.project()

    def check_applied(self) -> None:
        """Warn if the train step ignored the mask, and set `needs_projection`.

        Only the first step after a mask update is checked: masked values that become
        nonzero later were written by other code, such as a callback.
        """
        if not self.is_proven:
            self.is_proven = True
            super().check_applied()
