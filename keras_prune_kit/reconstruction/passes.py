"""The two walks of a repair: along the dense model, and along the pruned one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.layer_inputs.model_inputs import Batches
from keras_prune_kit.reconstruction.repair import Repair
from keras_prune_kit.reconstruction.walk import run_steps
from keras_prune_kit.reports import Skipped

_UNREACHED = "the model does not call it"


def run_dense(model: Any, batches: Batches, repairs: Sequence[Repair]) -> None:
    """Take what the kernels of the dense model give.

    Raises:
        ValueError: If an input of a kernel is not finite.
    """
    repairs_of = defaultdict(list)
    for repair in repairs:
        repairs_of[id(repair.dense.weight.layer)].append(repair)
    layers = [repair.dense.weight.layer for repair in repairs]
    for number, x in enumerate(batches.inputs):

        def seen(layer: Any, arrays: list[Any], batch: int = number) -> bool:
            for repair in repairs_of[id(layer)]:
                x = arrays[repair.dense.operand]
                repair.take_dense(x, batch, batches.shares[batch])
            return False

        _keras.watched_pass(model, x, layers, seen)
        for repair in repairs:
            repair.share(number)
    for repair in repairs:
        if not repair.calls and not repair.is_done:
            repair.outcome = Skipped(repair.pruned.path, _UNREACHED)


def run_pruned(model: Any, batches: Batches, repairs: Sequence[Repair]) -> list[Repair]:
    """Solve each kernel, with the inputs that solved ones before it give.

    Returns:
        The repairs in the order in which they were solved.

    Raises:
        ValueError: If an input is not finite, or the calls are not those of the dense
            model.
    """
    return run_steps(model, batches.inputs, repairs)
