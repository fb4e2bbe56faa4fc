"""A callback that prunes a model."""

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
    """Callback that prunes a model during `fit`.

    It works with `keras` models on TensorFlow, JAX and torch and with `tf_keras`
    models, however they are compiled. Nothing is wrapped: the model stays an ordinary
    model and is saved as one. The weights are exactly sparse after every step, so every
    checkpoint is sparse, and an interrupted run resumes from any of them. `logs` gains
    `sparsity`, the fraction of the covered weights that is zero. In a
    `keras.distillation.Distiller`, only the student is pruned.

    If the loss becomes NaN or infinite, training ends with an error, and weights and
    optimizer state are restored from the last snapshot. Snapshots are taken as often as
    2 % of the training time allows.

    The report and the warnings describe the model at the end of `fit`, after all other
    callbacks. An `EarlyStopping` in the same `fit` counts only epochs at the target
    sparsity, so that the weights it restores are pruned. A model that is built by the
    first step of `fit` is pruned from then on.

    A later `fit` without this callback lets the zeros grow back: to continue training a
    pruned model, use `PruningCallback(kpk.KeepZeros())`.

    If the number of batches is unknown before training (a generator, a dataset of
    unknown length), a schedule in `Epochs` or `Fraction` starts after the first epoch.
    Pass `steps_per_epoch` to `fit` to avoid that.

    Args:
        policy: A `PrunePolicy`, or a schedule or a final sparsity (0 to 1) to create
            one from.
        on_incomplete: `"warn"` or `"raise"`: what to do if training ends before a
            weight has reached its final sparsity. Defaults to `"warn"`.
        data: `(x, y)`, some hundred training samples for criteria that need gradients,
            such as `taylor`; or inputs alone for those that need no more, such as
            `wanda`. Defaults to `None`.

    Attributes:
        report: A `SparsityReport` of the current weights, once training has ended;
            `None` before.

    Raises:
        TypeError: If `policy` is of the wrong kind.
        ValueError: If `on_incomplete` is neither; from `fit`, before the first step, if
            the policy does not fit the model.
        DivergedError: From `fit`, if the loss or a weight becomes NaN or infinite.
        IncompletePruningError: From `fit`, if a weight misses its final sparsity and
            `on_incomplete` is `"raise"`.

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
        """The zeros in the current weights, once training has ended; `None` before."""
        return None if self._ended is None else self._ended.report()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy, without references to the model of a `fit`."""
        # KerasTuner deep-copies callbacks for each trial.
        idle = dict.fromkeys(("_pruner", "_ended", "_model"))
        return {**vars(self), **idle}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._check_alone()
        if self._pruner is not None:
            # An earlier fit was interrupted.
            self._pruner.detach()
        self._pruner, self._ended = None, None
        self._is_started = False
        self._steps_per_epoch = self.params.get("steps")  # `None` if unknown.
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
        # With `steps_per_execution`, Keras calls this for the last of several batches.
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
            # The pruner is detached; the next `fit` begins with another one.
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
        """Check the result, after all other callbacks have ended."""
        if not self._is_started:
            # A run that was killed after its last epoch and resumed by
            # BackupAndRestore has no epoch left to train.
            self._epoch = self.params["epochs"]
            self._start("at the end")
        pruner, self._pruner = self._engine(), None
        self._ended = pruner
        pruner.finalize(on_incomplete=self.on_incomplete)

    def _check_alone(self) -> None:
        """Raise a `ValueError` if another one prunes in the same `fit`."""
        beside = _keras.callbacks_beside(self) or ()
        number = sum(isinstance(item, PruningCallback) for item in beside)
        if number > 1:
            raise ValueError(
                f"fit takes one PruningCallback. Received: {number}. The rules of one "
                "policy give layers settings of their own: PrunePolicy(0.8, rules)."
            )

    def _prepare(self) -> None:
        self._pruner = Pruner(self.model, self.policy, data=self.data)
        if self._steps_per_epoch is not None:
            self._pruner.set_run_length(self._steps_per_epoch, self.params["epochs"])

    def _start(self, moment: str) -> None:
        """Attach the masks, later than BackupAndRestore loads weights."""
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
        # The first epoch has shown the number.
        self._steps_per_epoch = self._batches
        engine.set_run_length(self._batches, epochs)
        engine.step(self._steps_done())
