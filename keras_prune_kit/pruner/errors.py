"""Errors and warnings of pruning."""

from __future__ import annotations

from keras_prune_kit._tools.checks import is_one_of
from keras_prune_kit._tools.spelling import did_you_mean


class IncompletePruningWarning(UserWarning):
    """Training ended before a weight reached its final sparsity.

    The message names the weights. Train longer, give the schedule an earlier
    `end_step`, or, if a callback restored earlier weights, keep the best epoch with
    `TargetSparsityCheckpoint`.
    """


class IncompletePruningError(RuntimeError):
    """An `IncompletePruningWarning` as an error, for `on_incomplete="raise"`."""


class DivergedError(ValueError):
    """The loss or a weight became NaN or infinite.

    A lower learning rate or `clipnorm=1.0` in the optimizer often helps.

    Attributes:
        restored_moment: The moment whose weights and optimizer state were restored,
            such as "after step 40"; `None` if there was no snapshot.
    """

    restored_moment: str | None = None

    def __str__(self) -> str:
        """Return what happened, what was restored, and what to do."""
        parts = [super().__str__()]
        if self.restored_moment is not None:
            moment = self.restored_moment
            parts.append(f"Weights and optimizer are restored to their state {moment}.")
        parts.append(
            "A lower learning rate or clipnorm=1.0 in the optimizer often helps; "
            "otherwise look for NaN in the data."
        )
        return " ".join(parts)


class MaskNotAppliedWarning(UserWarning):
    """A train step updated weights without applying their masks.

    It was compiled before pruning started, most often. `Pruner` then applies the masks
    after each step itself, so the weights are sparse all the same. Start the pruner
    before the step is compiled to be rid of the warning.
    """


class ZerosGrowBackWarning(UserWarning):
    """A policy asks for fewer zeros than a weight has, so some will grow back.

    Ask for at least the present sparsity, or use `KeepZeros` as the policy or in a
    rule.
    """


class LoraMergeWarning(UserWarning):
    """Zeros under LoRA adapters vanish when the model is saved or exported.

    Keras saves the sum of base and adapter, which has no zeros. Call `merge_lora`
    after the training and before anything else.
    """


def check_on_incomplete(on_incomplete: object) -> None:
    """Raise a `ValueError` unless the argument is `"warn"` or `"raise"`."""
    if not is_one_of(on_incomplete, ("warn", "raise")):
        raise ValueError(
            'on_incomplete is "warn" or "raise". '
            f"Received: on_incomplete={on_incomplete!r}."
            + did_you_mean(on_incomplete, ("warn", "raise"))
        )
