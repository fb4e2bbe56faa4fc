"""The decision of a policy about one weight."""

from __future__ import annotations

from dataclasses import dataclass

from keras_prune_kit import _keras
from keras_prune_kit.channels import TiedAxis
from keras_prune_kit.criteria import Criterion
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.structures import Structure


@dataclass(frozen=True)
class Assignment:
    """The settings for a weight that a policy prunes, and the rule that set them.

    Attributes:
        weight: The weight.
        schedule: The schedule of its sparsity.
        structure: The shape of its zeros.
        criterion: The scores of its values.
        reason: The rule that decides, or `"policy"`.
        channels: The channels that leave together with those of other layers; `None`
            if each value, block or channel is ranked within this weight.
    """

    weight: _keras.PrunableWeight
    schedule: Schedule
    structure: Structure
    criterion: Criterion
    reason: str
    channels: TiedAxis | None = None
