"""What can go wrong while pruning."""


class IncompletePruningWarning(UserWarning):
    """Training ended before a weight reached the sparsity that its policy asks for."""


class IncompletePruningError(RuntimeError):
    """An `IncompletePruningWarning` where `on_incomplete="raise"` was asked for."""


class MaskNotAppliedWarning(UserWarning):
    """A train step updated weights without applying their masks."""
