"""The walk along a model: each kernel is solved where the forward pass reaches it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.reconstruction.repair import Repair
from keras_prune_kit.reports import Skipped

_UNSEEN = "its inputs cannot be seen: it runs inside a loop that is compiled"
_UNREACHED = "the model does not call it"


def run_dense(model: Any, x: Any, repairs: Sequence[Repair]) -> None:
    """Take what the kernels of the dense model give.

    Raises:
        ValueError: If an input of a kernel is not finite.
    """

    def seen(repair: Repair, array: np.ndarray | None) -> None:
        if array is None:
            repair.outcome = Skipped(repair.pruned.path, _UNSEEN)
        elif repair.outcome is None:
            repair.take_dense(array)

    _run(model, x, [(r.dense.weight.layer, r) for r in repairs], seen)
    for repair in repairs:
        if not repair.calls and repair.outcome is None:
            repair.outcome = Skipped(repair.pruned.path, _UNREACHED)


def run_pruned(model: Any, x: Any, repairs: Sequence[Repair]) -> list[Repair]:
    """Solve each kernel, with the inputs that solved ones before it give.

    A layer that is called several times is solved after the last of its calls. What
    came after the first has to be computed again then, in another pass.

    Returns:
        The repairs in the order in which they were solved.

    Raises:
        ValueError: If an input is not finite, or the calls are not those of the dense
            model.
    """
    solved: list[Repair] = []
    is_stale = True
    while is_stale:
        one = _Pass()
        _run(model, x, [(r.pruned.weight.layer, r) for r in repairs], one.seen)
        if one.waiting is not None:
            raise _other_calls(one.waiting, one.calls)
        solved += one.solved
        is_stale = one.is_stale
    for repair in repairs:
        if repair.outcome is None:
            raise _other_calls(repair, 0)
    return solved


def _other_calls(repair: Repair, calls: int) -> ValueError:
    return ValueError(
        "The models must be of the same architecture. Received: "
        f"{repair.pruned.path} is called {calls} times in the pruned model, "
        f"{len(repair.calls)} in the dense one."
    )


class _Pass:
    """One forward pass of the pruned model.

    Attributes:
        waiting: The repair with calls that are yet to come.
        calls: The calls of it that came.
        is_stale: True if a layer was solved after its first call.
        solved: The repairs that ended.
    """

    def __init__(self) -> None:
        self.waiting: Repair | None = None
        self.calls = 0
        self.is_stale = False
        self.solved: list[Repair] = []

    def seen(self, repair: Repair, x: np.ndarray | None) -> None:
        is_in_turn = self.waiting in (None, repair) and not self.is_stale
        if repair.outcome is not None or not is_in_turn:
            return
        if x is None:
            repair.outcome, self.waiting = Skipped(repair.pruned.path, _UNSEEN), None
            return
        if self.waiting is None:
            self.waiting, self.calls = repair, 0
            repair.start()
        number = len(repair.calls)
        repair.take_pruned(x, self.calls)
        self.calls += 1
        if self.calls == number:
            repair.finish()
            self.solved.append(repair)
            self.waiting, self.is_stale = None, number > 1


def _run(
    model: Any,
    x: Any,
    repairs: Sequence[tuple[Any, Repair]],
    seen: Callable[[Repair, np.ndarray | None], None],
) -> None:
    """Call a model; errors are raised after the pass, as Keras rewrites those in it."""
    errors: list[ValueError] = []
    repair_of = {id(layer): repair for layer, repair in repairs}

    def note(layer: Any, array: np.ndarray | None) -> None:
        if errors:
            return
        try:
            seen(repair_of[id(layer)], array)
        except ValueError as error:
            errors.append(error)

    _keras.watched_pass(model, x, [layer for layer, _ in repairs], note)
    if errors:
        raise errors[0]
