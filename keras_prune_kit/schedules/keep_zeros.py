"""No new zeros, and none lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keras_prune_kit.schedules.constant_sparsity import ConstantSparsity
from keras_prune_kit.schedules.schedule import Schedule


@dataclass(frozen=True)
class KeepZeros(Schedule):
    """Keep the zeros that each weight has, and add none.

    For training a pruned model on: `fit` without a callback lets every zero grow back,
    as nothing in the model knows that it was pruned. A weight of nothing but zeros was
    initialized so and is left free.

    Example:

    ```python
    model.fit(x, y, epochs=2, callbacks=[kpk.PruningCallback(kpk.KeepZeros())])
    ```
    """

    # It asks for nothing beyond the zeros that are there when training begins.
    final_sparsity: ClassVar[float] = 0.0
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
        """The constant sparsity that a rule asks for instead."""
        return ConstantSparsity(sparsity)
