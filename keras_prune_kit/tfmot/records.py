"""The result of `wrap`."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_prune_kit.policies import PrunePlan


class Wrapped(NamedTuple):
    """A wrapped model and the plan of what is pruned.

    It unpacks: `model, report = kpk.tfmot.wrap(...)`.

    Attributes:
        model: A new `tf_keras` model; the original is not changed.
        report: The weights that will be pruned, and the others with a reason.
    """

    model: Any
    report: PrunePlan
