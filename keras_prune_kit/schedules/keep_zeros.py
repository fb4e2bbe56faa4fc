"""A schedule that keeps the zeros that exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras_prune_kit.schedules.constant_sparsity import ConstantSparsity
from keras_prune_kit.schedules.schedule import Schedule


@dataclass(frozen=True, repr=False)
class KeepZeros(Schedule):
    """Zeros stay as they are: none is added and none is lost.

    For further training of a pruned model: `fit` without a callback lets zeros grow
    back, because a pruned model has no masks. A weight that is all zeros is taken as
    initialized so, not pruned, and stays free.

    Example:

    ```python
    model.fit(x, y, epochs=2, callbacks=[kpk.PruningCallback(kpk.KeepZeros())])
    ```
    """

    # The target is met by whatever zeros exist at the start of training.
    final_sparsity: ClassVar[float] = 0.0
    # Class variables are no fields of a dataclass: there is nothing to choose.
    begin_step: ClassVar[int] = 0
    end_step: ClassVar[None] = None
    frequency: ClassVar[None] = None

    def __call__(self, step: int) -> float:
        return 0.0

    def resolve(self, *, steps_per_epoch: int, epochs: int = 1) -> KeepZeros:
        return self

    def last_update(self, step: int) -> int:
        return 0

    def with_final_sparsity(self, sparsity: float) -> ConstantSparsity:  # pyright: ignore
        """Return a `ConstantSparsity`, for a rule with another sparsity."""
        return ConstantSparsity(sparsity)
