"""Early end of a trial whose metric can no longer recover."""

from __future__ import annotations

import math
from typing import Any

from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.pruner import active_pruner
from keras_prune_kit.reports import LEAST_DROP, Allowance

# The largest part of a drop that an epoch at the target sparsity recovers.
_RECOVERY = 0.75


class StopOutOfReach(TwoWorldCallback):
    """Callback that stops training when even the float model cannot reach the limit.

    The limit is the accepted drop, or that of a trial that leaves fewer weights: its
    file is smaller and better. It stops only at the target sparsity, so that the trial
    still has a valid result.

    Args:
        metric: The metric that decides.
        allowance: The accepted drop of the metric.
        drop_to_beat: The least drop that a smaller file has. Defaults to none.

    Attributes:
        epochs: The number of epochs that were trained.
        has_stopped: True if it stopped the training.
    """

    def __init__(
        self, metric: str, allowance: Allowance, drop_to_beat: float = math.inf
    ) -> None:
        super().__init__()
        self._key = f"val_{metric}"
        self._allowance = allowance
        # A remainder of a drop never shrinks to a limit of zero.
        self._max_drop = max(min(allowance.max_drop, drop_to_beat), LEAST_DROP)
        self.epochs = 0
        self.has_stopped = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs += 1
        left = self.params["epochs"] - epoch - 1
        pruner = active_pruner(self.model)
        if not left or pruner is None or not pruner.is_at_target:
            return
        lost = self._allowance.drop((logs or {})[self._key])
        # What is lost even if each epoch that is left recovers as much as it can.
        if lost * (1 - _RECOVERY) ** left > self._max_drop:
            self.has_stopped = True
            self.model.stop_training = True
