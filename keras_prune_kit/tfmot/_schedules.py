"""Translation of schedules to those of TFMOT."""

from __future__ import annotations

import functools
import math
from typing import Any

from keras_prune_kit.schedules import (
    UPDATES_PER_RAMP,
    ConstantSparsity,
    CosineDecay,
    PolynomialDecay,
    Schedule,
)
from keras_prune_kit.tfmot._import import tfmot


def translate(schedule: Schedule) -> Any:
    """Return the TFMOT schedule with the same final sparsity and almost the same end.

    TFMOT updates masks every `frequency` steps, counted from `begin_step`, and misses
    `end_step` unless that is a multiple. So the end moves to the last update up to
    `end_step`, less than `frequency` steps earlier.

    Args:
        schedule: A resolved schedule.

    Raises:
        ValueError: If TFMOT has no equivalent.
    """
    ours = tfmot().sparsity.keras
    begin: Any = schedule.begin_step
    end: Any = schedule.end_step
    if isinstance(schedule, ConstantSparsity) or begin == end:
        begin = max(1, begin)  # TFMOT counts steps from 1.
        if schedule.frequency is None or begin == end:
            return ours.ConstantSparsity(schedule.final_sparsity, begin, begin, 1)
        last = -1 if end is None else max(begin, end)
        return ours.ConstantSparsity(
            schedule.final_sparsity, begin, last, schedule.frequency
        )
    if not isinstance(schedule, PolynomialDecay | CosineDecay) or end is None:
        raise ValueError(
            "TFMOT has PolynomialDecay, ConstantSparsity and, through this bridge, "
            f"CosineDecay. Use PruningCallback. Received: {schedule}."
        )
    ramp = end - begin
    # At most the ramp, else there would be no update after the first.
    frequency = min(schedule.frequency or max(1, ramp // UPDATES_PER_RAMP), ramp)
    end = begin + ramp // frequency * frequency
    span = (schedule.initial_sparsity, schedule.final_sparsity, begin, end)
    if isinstance(schedule, CosineDecay):
        return cosine_decay()(*span, frequency=frequency)
    return ours.PolynomialDecay(*span, power=schedule.power, frequency=frequency)


@functools.cache
def cosine_decay() -> Any:
    """Return a TFMOT schedule class with the formula of `kpk.CosineDecay`."""
    import tensorflow as tf

    class CosineDecay(tfmot().sparsity.keras.PruningSchedule):
        """TFMOT schedule in which the sparsity rises along half a cosine."""

        def __init__(
            self,
            initial_sparsity: float,
            final_sparsity: float,
            begin_step: int,
            end_step: int,
            frequency: int = 100,
        ) -> None:
            self.initial_sparsity = initial_sparsity
            self.final_sparsity = final_sparsity
            self.begin_step = begin_step
            self.end_step = end_step
            self.frequency = frequency

        def __call__(self, step: Any) -> tuple[Any, Any]:
            done = tf.cast(step - self.begin_step, tf.float32)
            progress = tf.clip_by_value(
                done / (self.end_step - self.begin_step), 0.0, 1.0
            )
            fall = self.initial_sparsity - self.final_sparsity
            sparsity = self.final_sparsity + fall * tf.where(
                progress < 1.0, (1 + tf.cos(math.pi * progress)) / 2, 0.0
            )
            is_due = self._should_prune_in_step(
                step, self.begin_step, self.end_step, self.frequency
            )
            return is_due, sparsity

        def get_config(self) -> dict[str, Any]:
            # TFMOT's wrapper deserializes its schedule from this form.
            return {"class_name": type(self).__name__, "config": dict(vars(self))}

    return CosineDecay


def final_sparsity(schedule: Any) -> float:
    """Return the sparsity at the end of a TFMOT schedule, 0 to 1."""
    ends = ("final_sparsity", "target_sparsity")
    return next(getattr(schedule, name) for name in ends if hasattr(schedule, name))
