"""What can go wrong while pruning."""

from keras_prune_kit._tools.checks import is_one_of


class IncompletePruningWarning(UserWarning):
    """Training ended before a weight reached the sparsity that its policy asks for."""


class IncompletePruningError(RuntimeError):
    """An `IncompletePruningWarning` where `on_incomplete="raise"` was asked for."""


class MaskNotAppliedWarning(UserWarning):
    """A train step updated weights without applying their masks."""


class ZerosGrowBackWarning(UserWarning):
    """A policy asks for fewer zeros than a weight has, so that some will be lost."""


def check_on_incomplete(on_incomplete: object) -> None:
    """Raises a `ValueError` unless it says what to do about a missed sparsity."""
    if not is_one_of(on_incomplete, ("warn", "raise")):
        raise ValueError(
            'on_incomplete is "warn" or "raise". '
            f"Received: on_incomplete={on_incomplete!r}."
        )
