"""Thinning: channels are masked step by step in training, and then removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.channels import chooser_for, remove_zero_channels, without
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
        chooser = chooser_for(model, multiple_of=self.multiple_of, with_coupled=False)
        return without(chooser.found, chooser.stays(self.fraction))

    def check(self, model: Any) -> None:
        """Raise a `ValueError` if no channel of a model can leave."""
        self.policy.plan(model)


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
