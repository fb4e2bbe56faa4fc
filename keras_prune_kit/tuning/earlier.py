"""The earlier trials of a search: weights to go on from, drops of smaller files.

Everything is read from the folders of the trials, so that a resumed search, and one
with several workers, knows it too.
"""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import is_within
from keras_prune_kit.schedules import KeepZeros
from keras_prune_kit.structures import count_zeros
from keras_prune_kit.tuning.artifacts import RECORD, WEIGHTS

# Of a weight that is not zero; all others have 8.
_BITS = {"none": 32, "float16": 16, "int4": 4}


@dataclass(frozen=True)
class Earlier:
    """A finished trial of the same search.

    Attributes:
        folder: Its folder.
        record: The content of its `compression.json`.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def drop(self) -> float:
        """The drop of the metric of its file."""
        return self.record["measures"]["accuracy_drop"]

    @property
    def holds(self) -> bool:
        """True if that is within the accepted drop."""
        return is_within(self.drop, self.record["max_accuracy_drop"])

    @property
    def name(self) -> str:
        """Its name, such as `"trial 03"`."""
        return self.folder.name.replace("_", " ")

    def has_shapes_of(self, setting: Setting) -> bool:
        """Return True if its weights are those of a copy for these settings."""
        thinning = setting.thinning and asdict(setting.thinning)
        mine = (self.record["weight_bits"], self.record["thinning"])
        return mine == (setting.weight_bits, thinning)


def trials_beside(folder: Path) -> list[Earlier]:
    """Return the finished trials of a search, but for one.

    Args:
        folder: The folder of that trial.
    """
    found = sorted(folder.parent.glob(f"trial_*/{RECORD}"))
    return [
        Earlier(path.parent, json.loads(path.read_text("utf-8")))
        for path in found
        if path.parent != folder
    ]


def go_on(model: Any, setting: Setting, trials: list[Earlier]) -> str | None:
    """Give a copy the weights of the sparsest trial that its own goes beyond.

    That is one whose file is good enough and which has no more zeros than are due: the
    copy need not learn again what that one has learned.

    Args:
        model: The copy. It is changed in place if there is such a trial.
        setting: The settings of its trial.
        trials: The finished trials.

    Returns:
        The name of the trial; `None` if there is none.
    """
    alike = [each for each in trials if each.holds and each.has_shapes_of(setting)]
    alike.sort(key=lambda each: -each.record["measures"]["sparsity"])
    before = model.get_weights()
    for each in alike:
        _load(model, each.folder / WEIGHTS)
        if setting.policy is not None and _is_milder(model, setting.policy):
            return each.name
    model.set_weights(before)
    return None


def _load(model: Any, path: Path) -> None:
    with warnings.catch_warnings():
        # The file has the state of an optimizer, too; the copy has a new one.
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        model.load_weights(path)


def _is_milder(model: Any, policy: PrunePolicy) -> bool:
    """Return True if a model has no more zeros than a policy sets."""
    there = {each.path: each.zeros for each in sparsity_report(model).weights}
    due = _zeros_of(policy, model)
    if policy.scope == "global":
        return sum(there[path] for path in due) <= sum(due.values())
    return all(there[path] <= zeros for path, zeros in due.items())


def _zeros_of(policy: PrunePolicy, model: Any) -> dict[str, int]:
    """Return the number of zeros at the end of a policy, by the path of the weight."""
    assignments, _ = policy.assign(model)
    return {
        item.weight.path: 0
        if isinstance(item.schedule, KeepZeros)
        else count_zeros(item.schedule.final_sparsity, math.prod(item.weight.shape))
        for item in assignments
    }


def stored_bits(setting: Setting, model: Any) -> int:
    """Return the bits of all weights that a trial leaves, which its file grows with.

    Args:
        setting: The settings of the trial.
        model: Its copy of the baseline.
    """
    weights = _keras.find_weights(model)
    size = sum(
        math.prod(each.shape)
        for each in weights
        if isinstance(each, _keras.PrunableWeight)
    )
    zeros = (
        0 if setting.policy is None else sum(_zeros_of(setting.policy, model).values())
    )
    trained = setting.weight_bits
    bits = trained if isinstance(trained, int) else _BITS.get(setting.quantization, 8)
    return (size - zeros) * bits


def least_drop(trials: list[Earlier], bits: int) -> float:
    """Return the least drop of a trial that leaves fewer bits; infinite if none does.

    Args:
        trials: The finished trials.
        bits: The result of `stored_bits`.
    """
    smaller = [each.drop for each in trials if each.record["stored_bits"] < bits]
    return min(smaller, default=math.inf)
