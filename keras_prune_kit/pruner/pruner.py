"""The pruning engine, for callbacks and custom training loops.

A pruned weight gets a boolean mask and a constraint that applies it. Every optimizer
applies constraints right after each update, inside the compiled train step, so the
weights are exactly sparse after every step. The model stays an ordinary model, with no
wrapper to strip. A run that is resumed from any checkpoint rebuilds the masks from the
zeros in the weights.
"""

from __future__ import annotations

import contextlib
import math
import warnings
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_number, check_whole
from keras_prune_kit._tools.engine import Engine
from keras_prune_kit._tools.typed import written
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.pruner.errors import (
    IncompletePruningError,
    IncompletePruningWarning,
    LoraMergeWarning,
    ZerosGrowBackWarning,
    check_on_incomplete,
)
from keras_prune_kit.pruner.global_ranking import global_masks
from keras_prune_kit.pruner.gradients import Gradients
from keras_prune_kit.pruner.inputs import Inputs
from keras_prune_kit.pruner.last_good import LastGood
from keras_prune_kit.pruner.masked_training import MaskedTraining
from keras_prune_kit.pruner.messages import (
    lora_message,
    regrowth_message,
    shortfall_message,
)
from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.pruner.tied_channels import TiedChannels
from keras_prune_kit.reports import SparsityReport
from keras_prune_kit.schedules import Schedule

if TYPE_CHECKING:
    from typing_extensions import Self

# By the id of the model: a pruner holds its model, so the id is not used again.
_active: weakref.WeakValueDictionary[int, Pruner] = weakref.WeakValueDictionary()


def active_pruner(model: Any) -> Pruner | None:
    """Return the pruner that is active on a model, or `None`."""
    return _active.get(id(_keras.trained_model(model)))


class Pruner(Engine):
    """Engine that prunes a model according to a policy during training.

    It is for custom training loops; `PruningCallback` does the same in `model.fit`.
    Start it before the train step is compiled (`tf.function`, `jax.jit`,
    `torch.compile`), or let that happen inside the `with` block. A step that was
    compiled earlier does not apply the masks; the pruner detects that, warns, and
    applies them after each step itself. A loop in JAX whose state is outside of the
    model calls `stateless_step` instead of `step`.

    Args:
        model: A built `keras` or `tf_keras` model. It stays an ordinary model.
        policy: A `PrunePolicy`, or a schedule or a final sparsity (0 to 1) to create
            one from.
        steps_per_epoch: Optimizer steps in an epoch. Required if a schedule counts in
            `Epochs` or `Fraction`, as the default one does.
        epochs: Epochs in the run. Defaults to 1 if `steps_per_epoch` is given.
        data: `(x, y)`, some hundred training samples for criteria that need gradients,
            such as `taylor`; the model must be compiled then. Inputs alone are enough
            for those that need no more, such as `wanda`: arrays, or a dataset of
            batches, of which 1,024 samples are taken. Defaults to `None`.
        optimizer: The optimizer of a hand-written loop. Defaults to `None`: the one
            that the model is compiled with. On JAX it must be known when the pruner
            starts; elsewhere only if it has `use_ema=True`.
        initial_step: Optimizer steps already completed, in a run that is resumed from a
            checkpoint. Defaults to 0.

    Raises:
        TypeError: If `model` or `policy` is of the wrong kind.
        ValueError: If the policy does not fit the model, or a weight is NaN or
            infinite. The model is unchanged after any error.

    Example:

    ```python
    with kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=n, epochs=5) as pruner:
        for epoch in range(5):
            for x, y in batches:
                loss = train_step(x, y)
                pruner.step()
                pruner.check_loss(loss)  # restores good weights if NaN
    print(pruner.report())
    ```
    """

    def __init__(
        self,
        model: Any,
        policy: PrunePolicy | Schedule | float,
        *,
        steps_per_epoch: int | None = None,
        epochs: int | None = None,
        data: Any = None,
        optimizer: Any = None,
        initial_step: int = 0,
    ) -> None:
        check_whole("initial_step", initial_step, least=0)
        policy = as_policy(policy)
        self._variables = _keras.variables_of(model)
        assignments, self._skipped = policy.assign(model)
        self.model = model
        self.policy = policy
        self._own_optimizer = optimizer
        self._weights = [PrunedWeight(item, self._variables) for item in assignments]
        self._channels = TiedChannels(self._weights, self._variables)
        self._masked = [*self._weights, *self._channels.followers]
        self._compiled = MaskedTraining(model, self._masked)
        self._gradients = Gradients(model, self._weights, data)
        self._inputs = Inputs(model, self._weights, data)
        self._initial_step = initial_step
        self._current_step: int | None = None
        self._is_global = policy.scope == "global"
        self._last_good = LastGood(model)
        for weight in self._weights:
            # Raises on NaN or infinity, while the model is still unchanged.
            weight.read()
        if steps_per_epoch is not None:
            self.set_run_length(steps_per_epoch, epochs or 1)

    def __repr__(self) -> str:
        return f"Pruner({written(self.model)}, {self.policy})"

    @property
    def sparsity(self) -> float:
        """The fraction of the covered weights that is currently masked, 0 to 1."""
        size = sum(weight.size for weight in self._weights)
        return sum(weight.zeros for weight in self._weights) / size

    @property
    def weights(self) -> tuple[PrunedWeight, ...]:
        """The pruned weights, each with its schedule and progress."""
        return tuple(self._weights)

    @property
    def is_at_target(self) -> bool:
        """True if every weight has reached its final sparsity."""
        return all(weight.is_at_target for weight in self._weights)

    @property
    def knows_run_length(self) -> bool:
        """True if all schedules are in plain steps."""
        return all(weight.schedule.is_resolved for weight in self._weights)

    def set_run_length(self, steps_per_epoch: int, epochs: int) -> None:
        """Set the length of the run, to resolve `Epochs` and `Fraction` in schedules.

        Args:
            steps_per_epoch: Optimizer steps in an epoch, at least 1.
            epochs: Epochs in the run, at least 1.
        """
        for name, value in (("steps_per_epoch", steps_per_epoch), ("epochs", epochs)):
            check_whole(name, value)
        for weight in self._weights:
            weight.schedule = weight.schedule.resolve(
                steps_per_epoch=steps_per_epoch, epochs=epochs
            )

    def start(self, step: int | None = None) -> None:
        """Attach the masks, which keep existing zeros up to the final sparsity.

        Args:
            step: Optimizer steps already completed, in a run that is resumed. Defaults
                to `initial_step`.
        """
        if step is not None:
            check_whole("step", step, least=0)
        other = active_pruner(self.model)
        if other is not None:
            other.detach()
        losing = self._losing_zeros()
        if losing:
            warnings.warn(regrowth_message(losing), ZerosGrowBackWarning, stacklevel=2)
        adapted = [weight for weight in self._weights if weight.is_adapted]
        if adapted:
            warnings.warn(lora_message(adapted), LoraMergeWarning, stacklevel=2)
        with self._detached_on_error():
            self._compiled.enter(self._optimizer)
            _active[id(_keras.trained_model(self.model))] = self
            self._current_step = self._initial_step if step is None else step
            self._update(self._weights)

    def step(self, step: int | None = None) -> None:
        """Advance by one optimizer step: update the masks that are due.

        Args:
            step: Optimizer steps completed since the start of the run. Defaults to one
                more than in the last call.

        Raises:
            RuntimeError: If the pruner is not active.
            ValueError: If a schedule counts in epochs or fractions of a run whose
                length is not known.
            DivergedError: If a weight is NaN or infinite. The pruner is detached then,
                and weights that `check_loss` has saved are restored.
        """
        current = self._require_started()
        if step is not None:
            check_whole("step", step, least=0)
        self._require_run_length()
        now = current + 1 if step is None else step
        self._current_step = now
        with self._detached_on_error(), self._restored_if_not_finite():
            for weight in self._masked:
                # Before masks change: a new mask is applied at once, and would hide a
                # miss.
                weight.check_applied()
            due = [w for w in self._weights if w.last_update(now) != w.update]
            if due:
                # One ranking for all weights changes all of their masks.
                self._update(self._weights if self._is_global else due)
        self._project_what_constraints_miss()

    def stateless_step(
        self,
        trainable_variables: list[Any],
        optimizer_variables: list[Any],
        step: int | None = None,
    ) -> tuple[list[Any], list[Any]]:
        """Do a `step` for a loop that keeps the state outside of the model.

        This is how loops in JAX are written: a jitted function takes and returns the
        state. Take `optimizer.variables` inside the `with` block, as the masks are
        among them: a change of the masks then compiles nothing. `report`, `check_loss`
        and the end of the block write the latest state into the model.

        Args:
            trainable_variables: The tensors that `optimizer.stateless_apply` returned
                for the weights.
            optimizer_variables: Those that it returned for the optimizer's variables.
            step: Optimizer steps completed since the start of the run. Defaults to one
                more than in the last call.

        Returns:
            Both lists, for the next step.

        Raises:
            RuntimeError: If the pruner is not active.
            TypeError: If the model is of `tf_keras`, or these are no lists.
            ValueError: If the optimizer is not built or not known, or the tensors are
                not of the number and shapes of its variables.
            DivergedError: As `step` does.

        Example:

        ```python
        optimizer.build(model.trainable_variables)
        run = {"steps_per_epoch": n, "epochs": 5, "optimizer": optimizer}
        with kpk.Pruner(model, 0.8, **run) as pruner:
            weights = [v.value for v in model.trainable_variables]
            state = [v.value for v in optimizer.variables]
            for epoch in range(5):
                for x, y in batches:
                    weights, state = train_step(weights, state, x, y)  # jax.jit
                    weights, state = pruner.stateless_step(weights, state)
        ```
        """
        self._require_started()
        self._variables.take_in(
            self._optimizer, trainable_variables, optimizer_variables
        )
        self.step(step)
        return self._variables.give_out()

    def check_loss(self, loss: float, moment: str | None = None) -> None:
        """Raise a `DivergedError` if the loss is not finite, and restore good weights.

        Call it after each step. While the loss is finite, snapshots of weights and
        optimizer are saved to a temporary file, as often as 2 % of the time allows.

        Args:
            loss: The loss of the step.
            moment: The name of the step in messages. Defaults to `None`: its number.

        Raises:
            RuntimeError: If the pruner is not active.
            TypeError: If `loss` is no number, or `moment` no text.
            ValueError: If `loss` is more than one number.
            DivergedError: If the loss is NaN or infinite. The pruner is detached then.
        """
        step, loss = self._require_started(), as_number("loss", loss)
        if not math.isfinite(loss):
            error = self._last_good.give_up(f"The loss is {loss:.4g}.")
            self.detach()
            raise error
        self.keep_last_good(f"after step {step}" if moment is None else moment)

    def keep_last_good(self, moment: str) -> None:
        """Save a snapshot of weights and optimizer, unless one was saved just before.

        Args:
            moment: The name of this moment in messages.

        Raises:
            DivergedError: If a weight is NaN or infinite, although the loss is not. The
                pruner is detached then, and the last good weights are restored.
        """
        if not isinstance(moment, str):
            raise TypeError(f"moment is a text. Received: moment={moment!r}.")
        if not self._last_good.save_if_due(moment):
            # TensorFlow's relu makes zeros of NaN, so that the loss may not show it.
            with self._detached_on_error(), self._restored_if_not_finite():
                for weight in self._masked:
                    weight.read()

    def report(self) -> SparsityReport:
        """Return a report on the zeros of the current weights and their targets."""
        records = [
            weight.record(None if self._is_global else weight.final_sparsity)
            for weight in self._weights
        ]
        pairs = zip(self._weights, records, strict=True)
        unmet = [
            record
            for weight, record in pairs
            if not weight.is_at_target or record.zeros < weight.zeros
        ]
        return SparsityReport(tuple(records), tuple(self._skipped), tuple(unmet))

    def finalize(self, *, on_incomplete: str = "warn") -> SparsityReport:
        """Check the result and remove all that the pruner added to the model.

        Args:
            on_incomplete: `"warn"` or `"raise"`: what to do if a weight has not
                reached its final sparsity. Defaults to `"warn"`.

        Returns:
            A report on the zeros of each weight and its target.

        Raises:
            RuntimeError: If the pruner is not active.
            DivergedError: If a weight is NaN or infinite. The pruner is detached then,
                and weights that `check_loss` has saved are restored.
            IncompletePruningError: If a weight has not reached its final sparsity and
                `on_incomplete` is `"raise"`.
        """
        check_on_incomplete(on_incomplete)
        step = self._require_started()
        with self._detached_on_error(), self._restored_if_not_finite():
            for weight in self._masked:
                weight.check_applied()
            self._project_what_constraints_miss()
            report = self.report()
        message = ""
        if all(weight.is_projected() for weight in self._weights):
            self._channels.clear_followers()
        if report.unmet:
            message = shortfall_message(self._weights, report.unmet, step)
        self.detach()
        if message:
            if on_incomplete == "raise":
                raise IncompletePruningError(message)
            warnings.warn(message, IncompletePruningWarning, stacklevel=2)
        return report

    def detach(self) -> None:
        """Remove constraints and masks, at any time; the values stay as they are."""
        self._compiled.leave()
        self._last_good.forget()
        if active_pruner(self.model) is self:
            del _active[id(_keras.trained_model(self.model))]
        self._current_step = None

    def __enter__(self) -> Self:
        self._require_run_length()
        return super().__enter__()

    @contextlib.contextmanager
    def _detached_on_error(self) -> Iterator[None]:
        with contextlib.ExitStack() as undo:
            # Also after an interrupt: constraints must not stay behind on the model.
            undo.callback(self.detach)
            yield
            undo.pop_all()

    @contextlib.contextmanager
    def _restored_if_not_finite(self) -> Iterator[None]:
        try:
            yield
        except _keras.NotFiniteError as error:
            raise self._last_good.give_up(str(error)) from error

    def _update(self, due: list[PrunedWeight]) -> None:
        """Compute masks on the host and assign them."""
        for weight in due:
            weight.update = weight.last_update(self._current_step or 0)
        # A jitted loop has them elsewhere, and gradients and inputs are the model's.
        self._variables.sync()
        self._gradients.give(due)
        self._inputs.give(due)
        together: list[PrunedWeight] = []
        if any(weight.channels is not None for weight in due):
            self._channels.update()
        for weight in due:
            if weight.channels is not None:
                continue
            if self._is_global and not weight.keeps_zeros:
                together.append(weight)
            else:
                weight.set_mask(weight.compute_mask())
        if together:
            for weight, mask in zip(together, global_masks(together), strict=True):
                weight.set_mask(mask)

    def _losing_zeros(self) -> list[PrunedWeight]:
        """Return the weights whose existing zeros will grow back."""
        surplus = {weight: weight.surplus_of_zeros() for weight in self._weights}
        # Ranked together, a weight may keep more zeros where others get fewer. Each
        # number of zeros that a policy asks for is rounded, by up to a half.
        if self._is_global and sum(surplus.values()) <= len(surplus) / 2:
            return []
        return [weight for weight, number in surplus.items() if number > 0]

    def _project_what_constraints_miss(self) -> None:
        for weight in self._masked:
            weight.project_what_constraints_miss()

    def _require_started(self) -> int:
        """Return the current step, or raise an error if the pruner is not active."""
        if self._current_step is None:
            raise RuntimeError(
                "The pruner is not active: this comes between start() and finalize(), "
                "or inside `with Pruner(...) as pruner:`. (Another pruner started on "
                "the same model ends this one.)"
            )
        return self._current_step

    def _require_run_length(self) -> None:
        if not self.knows_run_length:
            raise ValueError(
                "A schedule counts in Epochs or Fraction of the run, so the length of "
                "the run is needed: Pruner(..., steps_per_epoch=..., epochs=...)."
            )
