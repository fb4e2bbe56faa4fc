"""A constant sparsity schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keras_prune_kit._tools.checks import check_whole, is_whole
from keras_prune_kit.schedules.schedule import Schedule, check_sparsity
from keras_prune_kit.schedules.steps import Step


@dataclass(frozen=True, repr=False)
class ConstantSparsity(Schedule):
    """The same sparsity from `begin_step` on; TFMOT's `ConstantSparsity`.

    For fine-tuning a model that is already sparse, and for structures without a useful
    intermediate sparsity, such as `NofM`.

    Args:
        target_sparsity: The sparsity, at least 0 and below 1.
        begin_step: Steps, `Epochs` or `Fraction`. Defaults to 0.
        end_step: The last step that updates masks; the zeros stay afterwards.
            Defaults to `None`, the end of training; TFMOT's -1 means the same.
        frequency: Steps between updates. Defaults to `None`, a single update at
            `begin_step`: later ones would find the same smallest weights.

    Raises:
        ValueError: If a value is out of range.

    Example:

    >>> ConstantSparsity(0.5, begin_step=100).last_update(5000)
    100
    """

    target_sparsity: float
    begin_step: Step = 0
    end_step: Step | None = None
    frequency: int | None = None

    def __post_init__(self) -> None:
        if is_whole(self.end_step) and self.end_step == -1:
            # A frozen dataclass, whose fields cannot be assigned otherwise.
            object.__setattr__(self, "end_step", None)
        super().__post_init__()
        check_sparsity("target_sparsity", self.target_sparsity)

    @property
    def final_sparsity(self) -> float:  # pyright: ignore
        """The sparsity at the end of the schedule, at least 0 and below 1."""
        return self.target_sparsity

    def __call__(self, step: int) -> float:
        return self.target_sparsity

    def with_final_sparsity(self, sparsity: float) -> ConstantSparsity:
        check_sparsity("sparsity", sparsity)
        return replace(self, target_sparsity=sparsity)

    def last_update(self, step: int) -> int | None:
        check_whole("step", step, least=0)
        begin, _ = self._plain_bounds()
        if self.frequency is None:
            return None if step < begin else begin
        return super().last_update(step)
