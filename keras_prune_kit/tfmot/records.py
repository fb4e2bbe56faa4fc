"""What the functions of the bridge return."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_prune_kit.policies import PrunePlan


class Wrapped(NamedTuple):
    """A model with wrappers in it, and what was wrapped.

    It unpacks: `model, report = kpk.tfmot.wrap(...)`.

    Attributes:
        model: A new `tf_keras` model; the original is as it was.
        report: The weights that will be pruned and what stays dense, with reasons.
    """

    model: Any
    report: PrunePlan
