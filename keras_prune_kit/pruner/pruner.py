"""The engine: what a callback and a custom training loop drive.

A pruned weight gets a boolean mask and a constraint that applies it. Every optimizer
applies constraints right after each update, inside the compiled train step, so the
weights are exactly sparse after every step and the model stays what it was: no
wrapper, nothing to strip. Zeros are the mask: a run that is resumed from any
checkpoint rebuilds it from them.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_whole
from keras_prune_kit.policies import PrunePolicy, as_policy
from keras_prune_kit.pruner.errors import (
    IncompletePruningError,
    IncompletePruningWarning,
    ZerosGrowBackWarning,
    check_on_incomplete,
)
from keras_prune_kit.pruner.global_ranking import global_masks
from keras_prune_kit.pruner.gradients import Gradients
from keras_prune_kit.pruner.pruned_weight import PrunedWeight
from keras_prune_kit.reports import SparsityReport, WeightSparsity
from keras_prune_kit.schedules import Schedule

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_NAMED = 5  # in a message

_active: weakref.WeakValueDictionary[int, Pruner] = weakref.WeakValueDictionary()


def active_pruner(model: Any) -> Pruner | None:
    """The pruner that is at work on a model, if there is one."""
    return _active.get(id(_keras.trained_model(model)))


class Pruner:
    """Prunes a model along a policy while something else trains it.

    For custom training loops; `PruningCallback` is the same for `model.fit`. Build it
    before the train step is traced (or let the `tf.function` be traced inside the
    `with` block): a function traced earlier does not know the masks, which is
    noticed, warned about and made up for at every step.

    Args:
        model: A built Keras model of either world. It stays an ordinary model.
        policy: A `PrunePolicy`; a schedule or a final sparsity (0 to 1) stands for the
            policy made from it.
        steps_per_epoch: Optimizer steps in an epoch. Needed if a schedule counts in
            `Epochs` or `Fraction`, as the default one does.
        epochs: Epochs in the run. Needed likewise.
        data: `(x, y)`, a sample of some hundred training data for criteria that look
            at gradients, such as `taylor`. The model must be compiled then. Defaults
            to `None`.
        initial_step: Optimizer steps done before, in a run that is resumed from a
            checkpoint. Defaults to 0.

    Raises:
        TypeError: If `model` or `policy` is of the wrong kind.
        ValueError: If the policy does not fit the model, or a weight is NaN or
            infinite. The model is unchanged after any error.

    Example:

    ```python
    with kpk.Pruner(model, kpk.PrunePolicy(0.8), steps_per_epoch=n, epochs=5) as pruner:
        for x, y in batches:
            train_step(x, y)
            pruner.step()
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
        initial_step: int = 0,
    ) -> None:
        check_whole("initial_step", initial_step, least=0)
        policy = as_policy(policy)
        variables = _keras.variables_of(model)
        assignments, self._skipped = policy.assign(model)
        self.model = model
        self.policy = policy
        self._weights = [PrunedWeight(plan, variables) for plan in assignments]
        self._gradients = Gradients(model, self._weights, data)
        self._initial_step = initial_step
        self._current_step: int | None = None
        for weight in self._weights:
            weight.read()
        if steps_per_epoch is not None:
            self.set_run_length(steps_per_epoch, epochs or 1)

    @property
    def sparsity(self) -> float:
        """The fraction of the covered weights that is masked now, 0 to 1."""
        size = sum(weight.size for weight in self._weights)
        return sum(weight.zeros for weight in self._weights) / size

    @property
    def weights(self) -> tuple[PrunedWeight, ...]:
        """Each weight that is pruned, with its schedule and how far it is."""
        return tuple(self._weights)

    @property
    def is_at_target(self) -> bool:
        """Whether every weight has reached its final sparsity."""
        return all(weight.is_at_target for weight in self._weights)

    @property
    def knows_run_length(self) -> bool:
        """Whether the schedules are all in plain steps."""
        return all(weight.schedule.is_resolved for weight in self._weights)

    def set_run_length(self, steps_per_epoch: int, epochs: int) -> None:
        """Tells how long the run is, which `Epochs` and `Fraction` count by.

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
        """Attaches the masks. Zeros that the weights have already stay zeros.

        Args:
            step: Optimizer steps done before, in a run that is resumed. Defaults to
                `initial_step`.
        """
        if step is not None:
            check_whole("step", step, least=0)
        other = active_pruner(self.model)
        if other is not None:
            other.detach()
        self._warn_of_zeros_that_grow_back()
        with self._detached_on_error():
            for weight in self._weights:
                weight.attach(self.model)
            _active[id(_keras.trained_model(self.model))] = self
            _keras.retrace(self.model)
            self._current_step = self._initial_step if step is None else step
            self._update(self._weights)

    def step(self, step: int | None = None) -> None:
        """Goes one optimizer step on: updates the masks that are due.

        Args:
            step: Optimizer steps done since the start of the run. Defaults to one
                more than the last time.

        Raises:
            RuntimeError: Before `start()` or after the end.
            ValueError: If a schedule counts in epochs or fractions of a run whose
                length is not known, or a weight is NaN or infinite.
        """
        if self._current_step is None:
            raise RuntimeError(
                "The pruner is not at work: step() comes between start() and "
                "finalize(), or inside `with Pruner(...) as pruner:`. (Another pruner "
                "started on the same model ends this one.)"
            )
        if step is not None:
            check_whole("step", step, least=0)
        self._require_run_length()
        now = self._current_step + 1 if step is None else step
        self._current_step = now
        for weight in self._weights:
            weight.check_mask_applied()
        due = [w for w in self._weights if w.last_update(now) != w.update]
        if due:
            with self._detached_on_error():
                self._update(self._weights if self.policy.scope == "global" else due)
        self._remask_what_constraints_miss()

    def report(self) -> SparsityReport:
        """The zeros in the model as it is now, beside what the policy asks for."""
        has_own_targets = self.policy.scope == "layer"
        records = [
            weight.record(weight.final_sparsity if has_own_targets else None)
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
        """Checks the result and leaves the model without a trace of the pruner.

        Args:
            on_incomplete: `"warn"` or `"raise"`: what to do if a weight has not
                reached its final sparsity. Defaults to `"warn"`.

        Returns:
            The zeros of each weight beside its target.

        Raises:
            RuntimeError: If the pruner is not at work.
            IncompletePruningError: If asked for.
        """
        check_on_incomplete(on_incomplete)
        if self._current_step is None:
            raise RuntimeError("The pruner is not at work, so there is no end to it.")
        for weight in self._weights:
            weight.check_mask_applied()
        self._remask_what_constraints_miss()
        report = self.report()
        message = self._shortfall(report.unmet) if report.unmet else ""
        self.detach()
        if message:
            if on_incomplete == "raise":
                raise IncompletePruningError(message)
            warnings.warn(message, IncompletePruningWarning, stacklevel=2)
        return report

    def detach(self) -> None:
        """Takes constraints and masks off, at any time; the zeros stay as they are."""
        for weight in self._weights:
            weight.detach()
        if self._current_step is not None:
            _keras.retrace(self.model)
        if active_pruner(self.model) is self:
            del _active[id(_keras.trained_model(self.model))]
        self._current_step = None

    def __enter__(self) -> Self:
        self._require_run_length()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finalize()
        else:
            self.detach()

    @contextlib.contextmanager
    def _detached_on_error(self) -> Iterator[None]:
        with contextlib.ExitStack() as undo:
            undo.callback(self.detach)
            yield
            undo.pop_all()

    def _update(self, due: list[PrunedWeight]) -> None:
        """Computes masks on the host and assigns them."""
        for weight in due:
            weight.update = weight.last_update(self._current_step or 0)
        self._gradients.give(due)
        together: list[PrunedWeight] = []
        for weight in due:
            if self.policy.scope == "global" and not weight.keeps_zeros:
                together.append(weight)
            else:
                weight.set_mask(weight.compute_mask())
        if together:
            for weight, mask in zip(together, global_masks(together), strict=True):
                weight.set_mask(mask)

    def _remask_what_constraints_miss(self) -> None:
        optimizer = _keras.optimizer_of(self.model)
        is_averaged = getattr(optimizer, "use_ema", False)
        for weight in self._weights:
            if weight.needs_remask or is_averaged:
                weight.apply_mask()
            if is_averaged:
                weight.apply_mask_to_average(optimizer)

    def _require_run_length(self) -> None:
        if not self.knows_run_length:
            raise ValueError(
                "A schedule counts in Epochs or Fraction of the run, so the length of "
                "the run is needed: Pruner(..., steps_per_epoch=..., epochs=...)."
            )

    def _warn_of_zeros_that_grow_back(self) -> None:
        losing = [weight for weight in self._weights if weight.loses_zeros()]
        if losing:
            what = ", ".join(
                f"{record.path} is at {record.sparsity:.4g} and the policy asks for "
                f"{record.target:.4g}"
                for record in (w.record(w.final_sparsity) for w in losing[:_MOST_NAMED])
            )
            warnings.warn(
                f"Zeros will grow back: {what}. Ask for at least as much, or keep "
                "what is zero with KeepZeros() as the policy or in a rule.",
                ZerosGrowBackWarning,
                stacklevel=3,
            )

    def _shortfall(self, unmet: tuple[WeightSparsity, ...]) -> str:
        what = ", ".join(
            f"{weight.path} is at {weight.sparsity:.4g}"
            + ("" if weight.target is None else f" of {weight.target:.4g}")
            for weight in unmet
        )
        if any(weight.has_lost_zeros() for weight in self._weights):
            return (
                "The weights were replaced after the last step, by a callback or a "
                f"call that brings others back, so the model is not pruned: {what}. "
                "Keep the best epoch at the target with TargetSparsityCheckpoint, or "
                "with an EarlyStopping in the same fit as PruningCallback, which "
                "makes it count only epochs at the target."
            )
        ends = {str(weight.schedule.end_step) for weight in self._weights}
        return (
            f"Training ended at step {self._current_step} before pruning did (end_step="
            f"{', '.join(sorted(ends))}): {what}. Train longer, or give the schedule "
            "an earlier end, such as end_step=Fraction(0.5)."
        )
