"""The callback that prunes."""

from __future__ import annotations

import logging
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.callbacks.fit_end import stand_last
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.pruner import DivergedError, Pruner, check_on_incomplete
from keras_prune_kit.reports import SparsityReport
from keras_prune_kit.schedules import Schedule

_log = logging.getLogger(__name__)


class PruningCallback(TwoWorldCallback):
    """Prunes a model while `fit` trains it.

    Works with `keras` and `tf_keras` models alike, compiled in any way. Nothing is
    wrapped: the model stays what it was and saves as it did. The weights are exactly
    sparse after every step, so every checkpoint is, and a run that was cut off goes
    on from any of them. `logs` gains `sparsity`, the fraction of the covered weights
    that is zero. Of a `keras.distillation.Distiller` the student is pruned, never the
    teacher.

    A loss that becomes NaN or infinite ends training with an error, and weights and
    optimizer are again what they were when they were last kept, which is as often as a
    fiftieth of the time allows.

    The report and the warnings speak of the model when `fit` has ended, after all other
    callbacks. An `EarlyStopping` in the same `fit` counts only epochs at the target
    sparsity, so what it restores is pruned. A model that `fit` builds in its first step
    is pruned from then on.

    `fit` without this callback lets the zeros grow back: to train a pruned model on,
    use `PruningCallback(kpk.KeepZeros())`.

    Where the number of batches is not known beforehand (a generator, a dataset of
    unknown length), a schedule in `Epochs` or `Fraction` waits for the end of the
    first epoch; `fit(steps_per_epoch=...)` spares it the wait.

    Args:
        policy: A `PrunePolicy`; a schedule or a final sparsity (0 to 1) stands for the
            policy made from it.
        on_incomplete: What to do if training ends before a weight has reached its
            final sparsity: `"warn"` or `"raise"`. Defaults to `"warn"`.
        data: `(x, y)`, a sample of some hundred training data for criteria that look
            at gradients, such as `taylor`. Defaults to `None`.

    Attributes:
        report: A `SparsityReport` of the model as it is when it is looked at, once
            training has ended; before that `None`.

    Raises:
        TypeError: If the policy is none.
        ValueError: If `on_incomplete` is neither; from `fit`, before the first step, if
            the policy does not fit the model, and later, if the loss is NaN.

    Example:

    ```python
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    model.fit(x, y, epochs=5, callbacks=[pruning])
    print(pruning.report)
    ```
    """

    def __init__(
        self,
        policy: PrunePolicy | Schedule | float,
        *,
        on_incomplete: str = "warn",
        data: Any = None,
    ) -> None:
        super().__init__()
        check_on_incomplete(on_incomplete)
        self.policy = as_policy(policy)
        self.on_incomplete = on_incomplete
        self.data = data
        self._pruner: Pruner | None = None
        self._ended: Pruner | None = None
        self._steps_per_epoch: int | None = None
        self._is_started = False
        self._epoch = 0
        self._batches = 0

    @property
    def report(self) -> SparsityReport | None:
        """The zeros in the model as it is now, once training has ended, else `None`."""
        return None if self._ended is None else self._ended.report()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the models of a `fit` out of a copy."""
        idle = dict.fromkeys(("_pruner", "_ended", "_model"))
        return {**vars(self), **idle}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._pruner is not None:
            # An earlier fit was cut off.
            self._pruner.detach()
        self._pruner, self._ended = None, None
        self._is_started = False
        self._steps_per_epoch = self.params.get("steps")
        if _keras.is_built(self.model):
            self._prepare()
        self._is_last = not stand_last(self, self._finish, self._is_at_target)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch, self._batches = epoch, 0
        if self._pruner is not None and not self._is_started:
            self._start("when training began")

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches = batch + 1
        if self._pruner is None:  # The first step has built the model.
            self._prepare()
            self._start("after the first batch")
        moment = f"batch {self._batches} of epoch {self._epoch + 1}"
        try:
            loss = (logs or {}).get("loss")
            if loss is not None:
                self._engine().check_loss(loss, f"after {moment}")
            if self._engine().knows_run_length:
                self._engine().step(self._steps_done())
        except DivergedError as error:
            self._pruner = None
            error.args = (f"Training stops at {moment}. {error.args[0]}",)
            raise

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps_per_epoch is None:
            self._learn_run_length()
        if logs is not None:
            logs["sparsity"] = self._engine().sparsity

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._is_last:
            self._finish()

    def _finish(self) -> None:
        """Check what is in the model when no other callback comes any more."""
        if not self._is_started:
            # BackupAndRestore has left no epoch to train: the process was killed when
            # it had done the last one.
            self._epoch = self.params["epochs"]
            self._start("at the end")
        pruner, self._pruner = self._engine(), None
        self._ended = pruner
        pruner.finalize(on_incomplete=self.on_incomplete)

    def _prepare(self) -> None:
        self._pruner = Pruner(self.model, self.policy, data=self.data)
        if self._steps_per_epoch is not None:
            self._pruner.set_run_length(self._steps_per_epoch, self.params["epochs"])

    def _start(self, moment: str) -> None:
        """Attach masks; not in `on_train_begin`, as BackupAndRestore loads there."""
        self._engine().start(self._steps_done())
        self._is_started = True
        self._engine().keep_last_good(moment)

    def _is_at_target(self) -> bool:
        return self._pruner is not None and self._pruner.is_at_target

    def _engine(self) -> Pruner:
        if self._pruner is None:
            raise RuntimeError(
                "PruningCallback has no model: on_train_begin comes first."
            )
        return self._pruner

    def _steps_done(self) -> int:
        return self._epoch * (self._steps_per_epoch or 0) + self._batches

    def _learn_run_length(self) -> None:
        engine, epochs = self._engine(), self.params["epochs"]
        if not engine.knows_run_length and self._epoch + 1 == epochs:
            _log.warning(
                "The length of the only epoch was not known beforehand, so all pruning "
                "happens at its end, with no step to recover in. Pass steps_per_epoch "
                "to fit."
            )
        self._steps_per_epoch = self._batches
        engine.set_run_length(self._batches, epochs)
        engine.step(self._steps_done())
