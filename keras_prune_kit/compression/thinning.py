"""Thinning: channels are masked step by step in training, and then removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.channels import (
    Chooser,
    chooser_for,
    no_group_message,
    removable,
    remove_zero_channels,
    traced,
    without,
)
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports.tables import percent
from keras_prune_kit.schedules import Fraction, PolynomialDecay
from keras_prune_kit.structures import Channel

_RAMP = Fraction(0.6)  # of the masked epochs; the metric recovers in the others
_MASKED_SHARE = 0.6  # of all epochs


@dataclass(frozen=True)
class Thinning:
    """The channels that leave a model.

    Attributes:
        fraction: The fraction of the channels of each group, above 0 and below 1.
        multiple_of: Larger groups keep a multiple of this number, as in `Channel`.
    """

    fraction: float
    multiple_of: int = 1

    def __str__(self) -> str:
        return f"{percent(self.fraction)} of channels"

    @property
    def policy(self) -> PrunePolicy:
        """The policy of the masks."""
        schedule = PolynomialDecay(0.0, self.fraction, end_step=_RAMP)
        return PrunePolicy(schedule, structure=Channel(multiple_of=self.multiple_of))

    def at_once(self, model: Any) -> Any:
        """Return a copy that has lost these channels at once, compiled alike.

        It has the shapes of a model that loses them in training.
        """
        chooser = self.chooser(model)
        return without(chooser.found, chooser.stays(self.fraction))

    def macs_of(self, model: Any) -> int:
        """Return the multiplications that are left in a model without the channels."""
        return self.chooser(model).costs(self.fraction).macs

    def chooser(self, model: Any) -> Chooser:
        """Return a chooser among the channels that masks can zero in a model."""
        assignments, _ = self.policy.assign(model)
        roots = {
            root
            for item in assignments
            if item.channels is not None
            for root in item.channels.roots.tolist()
        }
        return chooser_for(model, multiple_of=self.multiple_of, only=roots)

    def check(self, model: Any) -> None:
        """Raise a `ValueError` if no channel of a model can leave."""
        found = traced(model)
        try:
            self.policy.assign(model)
        except ValueError as error:
            if removable(found):
                raise ValueError(
                    "All layers that could lose channels are frozen, or masks cannot "
                    "zero what they make, so they keep them. Set trainable = True and "
                    "compile again, or cut at once: kpk.remove_channels(model, 0.5)."
                ) from error
            raise ValueError(no_group_message(found, "the model")) from error


def thinned(model: Any, thinning: Thinning, training: FineTuning) -> Any:
    """Return a smaller model, fine-tuned before and after its channels leave.

    Args:
        model: A compiled model. It is not changed.
        thinning: The channels that leave.
        training: The fine-tuning of both parts; of two epochs or more, the last ones
            come after the removal.
    """
    masked = _keras.clone(model)
    after = training.epochs - max(1, round(_MASKED_SHARE * training.epochs))
    policy = PruningCallback(thinning.policy, on_incomplete=training.on_incomplete)
    training.lasting(training.epochs - after).fit(masked, policy)
    small = remove_zero_channels(masked)
    if after:
        training.lasting(after).fit(small)
    return small
