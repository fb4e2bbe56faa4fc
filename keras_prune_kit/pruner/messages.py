"""Texts of the warnings about weights that miss what their policy asks for."""

from __future__ import annotations

from collections.abc import Sequence

from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.reports import WeightSparsity

_MOST_NAMED = 5


def regrowth_message(weights: Sequence[PrunedWeight]) -> str:
    """Return the text of a `ZerosGrowBackWarning`.

    Args:
        weights: The weights that have more zeros than their schedules ask for.
    """
    records = [w.record(w.final_sparsity) for w in weights[:_MOST_NAMED]]
    found = ", ".join(
        f"{record.path} is at {record.sparsity:.4g} and the policy asks for "
        f"{record.target:.4g}"
        for record in records
    )
    return (
        f"Zeros will grow back: {found}. Ask for at least the present sparsity, or "
        "keep the zeros with KeepZeros() as the policy or in a rule."
    )


def lora_message(weights: Sequence[PrunedWeight]) -> str:
    """Return the text of a `LoraMergeWarning`.

    Args:
        weights: The weights that have LoRA adapters.
    """
    found = ", ".join(weight.path for weight in weights[:_MOST_NAMED])
    more = " and others" if len(weights) > _MOST_NAMED else ""
    return (
        f"The zeros of {found}{more} are those of the base under a LoRA adapter. The "
        "layers compute with base + A @ B, which has none, and this sum is what Keras "
        "saves and what is exported. Call kpk.merge_lora(model) after training: it "
        "merges the adapters and keeps the zeros. Then evaluate, save and export."
    )


def shortfall_message(
    weights: Sequence[PrunedWeight], unmet: Sequence[WeightSparsity], step: int
) -> str:
    """Return the text of an `IncompletePruningWarning`.

    Args:
        weights: All pruned weights.
        unmet: The records of those below their targets.
        step: The last step of the training.
    """
    found = ", ".join(
        f"{weight.path} is at {weight.sparsity:.4g}"
        + ("" if weight.target is None else f" of {weight.target:.4g}")
        for weight in unmet
    )
    if not all(weight.is_projected() for weight in weights):
        return (
            "The weights were replaced after the last step, such as by a callback that "
            f"restores earlier ones, so the model is not pruned: {found}. Keep the "
            "best epoch at the target with TargetSparsityCheckpoint, or with an "
            "EarlyStopping in the same fit as PruningCallback, which makes it count "
            "only epochs at the target."
        )
    ends = sorted({str(weight.schedule.end_step) for weight in weights})
    return (
        f"Training ended at step {step} before pruning did (end_step="
        f"{', '.join(ends)}): {found}. Train longer, or give the schedule an earlier "
        "end, such as end_step=Fraction(0.5)."
    )
