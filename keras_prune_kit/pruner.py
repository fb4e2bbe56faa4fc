"""The pruner: makes a policy so, on a model, step by step.

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
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.policies import Assignment, PrunePolicy, as_policy
from keras_prune_kit.reports import SparsityReport, WeightSparsity
from keras_prune_kit.schedules import Schedule
from keras_prune_kit.structures import count_nonzero, count_zeros, keep_highest

if TYPE_CHECKING:
    from typing_extensions import Self

_active: weakref.WeakValueDictionary[int, Pruner] = weakref.WeakValueDictionary()


class IncompletePruningWarning(UserWarning):
    """Training ended before a weight reached the sparsity that its policy asks for."""


class IncompletePruningError(RuntimeError):
    """An `IncompletePruningWarning` where `on_incomplete="raise"` was asked for."""


class MaskNotAppliedWarning(UserWarning):
    """A train step updated weights without applying their masks."""


def active_pruner(model: Any) -> Pruner | None:
    """The pruner that is at work on a model, if there is one."""
    return _active.get(id(model))


@dataclass
class _Pruned:
    """A weight being pruned: what is planned for it and how far it is."""

    plan: Assignment
    schedule: Schedule
    mask: Any = None
    zeros: int = 0
    reached: float = 0.0
    update: int | None = None
    remask: bool = False

    @property
    def variable(self) -> Any:
        return self.plan.weight.variable

    @property
    def path(self) -> str:
        return self.plan.weight.path

    @property
    def is_at_target(self) -> bool:
        return self.reached >= self.schedule.final_sparsity


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
    ) -> None:
        policy = as_policy(policy)
        self._variables = _keras.variables_of(model)
        assignments, self._skipped = policy.assign(model)
        self.model = model
        self.policy = policy
        self._pruned = [_Pruned(a, a.schedule) for a in assignments]
        self._current_step: int | None = None
        for pruned in self._pruned:
            self._read(pruned)
        if steps_per_epoch is not None:
            self.set_run_length(steps_per_epoch, epochs or 1)

    @property
    def sparsity(self) -> float:
        """The fraction of the covered weights that is masked now, 0 to 1."""
        size = sum(_size(pruned) for pruned in self._pruned)
        return sum(pruned.zeros for pruned in self._pruned) / size

    @property
    def is_at_target(self) -> bool:
        """Whether every weight has reached its final sparsity."""
        return all(pruned.is_at_target for pruned in self._pruned)

    @property
    def knows_run_length(self) -> bool:
        """Whether the schedules are all in plain steps."""
        return all(pruned.schedule.is_resolved for pruned in self._pruned)

    def set_run_length(self, steps_per_epoch: int, epochs: int) -> None:
        """Tells how long the run is, which `Epochs` and `Fraction` count by.

        Args:
            steps_per_epoch: Optimizer steps in an epoch, at least 1.
            epochs: Epochs in the run, at least 1.
        """
        for name, value in (("steps_per_epoch", steps_per_epoch), ("epochs", epochs)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{name} is a whole number of at least 1. Received: {value!r}."
                )
        for pruned in self._pruned:
            pruned.schedule = pruned.schedule.resolve(
                steps_per_epoch=steps_per_epoch, epochs=epochs
            )

    def start(self, step: int = 0) -> None:
        """Attaches the masks. Zeros that the weights have already stay zeros.

        Args:
            step: Optimizer steps done before, in a run that is resumed. Defaults to 0.
        """
        other = active_pruner(self.model)
        if other is not None:
            other.detach()
        with self._detached_on_error():
            for pruned in self._pruned:
                self._attach(pruned)
            _active[id(self.model)] = self
            _keras.retrace(self.model)
            self._current_step = step
            self._update(self._pruned)

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
        self._require_run_length()
        self._current_step = self._current_step + 1 if step is None else step
        due = [p for p in self._pruned if self._last_update(p) != p.update]
        if due:
            with self._detached_on_error():
                self._update(self._pruned if self.policy.scope == "global" else due)
        self._remask_what_constraints_miss()

    def report(self) -> SparsityReport:
        """The zeros in the model as it is now, beside what the policy asks for."""
        targets = self.policy.scope == "layer"
        records = {
            pruned.path: WeightSparsity(
                pruned.path,
                pruned.plan.weight.shape,
                _size(pruned) - count_nonzero(self._read(pruned)),
                pruned.schedule.final_sparsity if targets else None,
            )
            for pruned in self._pruned
        }
        unmet = tuple(records[p.path] for p in self._pruned if not p.is_at_target)
        return SparsityReport(tuple(records.values()), tuple(self._skipped), unmet)

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
        if self._current_step is None:
            raise RuntimeError("The pruner is not at work, so there is no end to it.")
        ended_at = self._current_step
        for pruned in self._pruned:
            self._check_mask_applied(pruned, self._read(pruned))
            self._variables.apply_mask(pruned.mask, pruned.variable)
        report = self.report()
        self.detach()
        if report.unmet:
            message = self._shortfall(report.unmet, ended_at)
            if on_incomplete == "raise":
                raise IncompletePruningError(message)
            warnings.warn(message, IncompletePruningWarning, stacklevel=2)
        return report

    def detach(self) -> None:
        """Takes constraints and masks off, at any time; the zeros stay as they are."""
        for pruned in self._pruned:
            constraint = self._variables.constraint(pruned.variable)
            if isinstance(constraint, _keras.MaskConstraint):
                self._variables.constrain(pruned.variable, constraint.inner)
            pruned.mask = None
        if self._current_step is not None:
            _keras.retrace(self.model)
        if active_pruner(self.model) is self:
            del _active[id(self.model)]
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

    def _attach(self, pruned: _Pruned) -> None:
        handle, variable = self._variables, pruned.variable
        pruned.mask = handle.make_mask(pruned.plan.weight.shape)
        pruned.zeros, pruned.update, pruned.reached = 0, None, 0.0
        layer = pruned.plan.weight.layer
        pruned.remask = handle.ignores_constraint(self.model, variable, layer)
        inner = handle.constraint(variable)
        if isinstance(inner, _keras.MaskConstraint):
            inner = inner.inner
        if not pruned.remask:
            constraint = _keras.MaskConstraint(handle, pruned.mask, inner)
            handle.constrain(variable, constraint)

    def _update(self, due: list[_Pruned]) -> None:
        """Computes masks on the host and assigns them."""
        for pruned in due:
            pruned.update = self._last_update(pruned)
        if self.policy.scope == "global":
            for pruned, mask in zip(due, self._global_masks(due), strict=True):
                self._set_mask(pruned, mask)
        else:
            for pruned in due:
                self._set_mask(pruned, self._layer_mask(pruned))

    def _set_mask(self, pruned: _Pruned, mask: np.ndarray) -> None:
        pruned.zeros = mask.size - int(np.count_nonzero(mask))
        self._variables.write(pruned.mask, mask)
        self._variables.apply_mask(pruned.mask, pruned.variable)

    def _layer_mask(self, pruned: _Pruned) -> np.ndarray:
        weight, structure = pruned.plan.weight, pruned.plan.structure
        kernel = weight.to_canonical(self._read(pruned))
        self._check_mask_applied(pruned, kernel)
        there = structure.sparsity(kernel)
        pruned.reached = max(_scheduled(pruned), _kept(there, pruned))
        scores = self._scores(pruned, kernel)
        return weight.from_canonical(structure.mask(scores, pruned.reached))

    def _global_masks(self, due: list[_Pruned]) -> list[np.ndarray]:
        """Masks from one ranking of all weights; each keeps its best weight."""
        scores, wanted, there, final = [], 0, 0, 0
        for pruned in due:
            kernel = self._read(pruned)
            self._check_mask_applied(pruned, kernel)
            flat = np.array(self._scores(pruned, kernel), np.float32).ravel()
            flat[flat.argmax()] = np.inf
            scores.append(flat)
            zeros = 1 - count_nonzero(kernel) / kernel.size
            wanted += count_zeros(_scheduled(pruned), kernel.size)
            there += count_zeros(_kept(zeros, pruned), kernel.size)
            final += count_zeros(pruned.schedule.final_sparsity, kernel.size)
        mask = keep_highest(np.concatenate(scores), max(wanted, there))
        for pruned in due:
            reached = max(wanted, there) >= final
            pruned.reached = pruned.schedule.final_sparsity if reached else 0.0
        ends = np.cumsum([flat.size for flat in scores])[:-1]
        parts = np.split(mask, ends)
        return [m.reshape(p.plan.weight.shape) for m, p in zip(parts, due, strict=True)]

    def _scores(self, pruned: _Pruned, kernel: np.ndarray) -> np.ndarray:
        scores = pruned.plan.criterion(kernel)
        if np.shape(scores) != kernel.shape:
            raise ValueError(
                f"A criterion gives one score a weight. Received: shape "
                f"{np.shape(scores)} for {pruned.path} of shape {kernel.shape}."
            )
        return scores

    def _read(self, pruned: _Pruned) -> np.ndarray:
        """The weight, checked: a mask made from NaN would be nonsense."""
        kernel = self._variables.read(pruned.variable)
        if kernel.dtype.itemsize < 4:
            kernel = kernel.astype(np.float32)
        # A sum is finite only if all is, and costs a fraction of looking at each.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(kernel.sum())
        if suspicious and not np.isfinite(kernel).all():
            raise ValueError(
                f"{pruned.path} holds NaN or infinite weights, so there is nothing "
                "sensible to prune. Look for a diverging loss (a lower learning rate "
                "helps), or load a healthy checkpoint."
            )
        return kernel

    def _last_update(self, pruned: _Pruned) -> int | None:
        if not pruned.schedule.is_resolved:
            return None
        return pruned.schedule.last_update(self._current_step or 0)

    def _remask_what_constraints_miss(self) -> None:
        optimizer = _keras.optimizer_of(self.model)
        is_averaged = getattr(optimizer, "use_ema", False)
        for pruned in self._pruned:
            if pruned.remask:
                self._variables.apply_mask(pruned.mask, pruned.variable)
            if is_averaged:
                # Averages are taken before constraints and may become the weights.
                average = self._variables.moving_average(optimizer, pruned.variable)
                if average is not None:
                    self._variables.apply_mask(pruned.mask, average)

    def _check_mask_applied(self, pruned: _Pruned, kernel: np.ndarray) -> None:
        if count_nonzero(kernel) <= kernel.size - pruned.zeros or pruned.remask:
            return
        pruned.remask = True
        warnings.warn(
            f"The train step does not apply the mask of {pruned.path}; it is applied "
            "after each step instead. Usually the tf.function was traced before the "
            "pruner started: start the pruner first, or make the tf.function anew.",
            MaskNotAppliedWarning,
            stacklevel=2,
        )

    def _require_run_length(self) -> None:
        if not self.knows_run_length:
            raise ValueError(
                "A schedule counts in Epochs or Fraction of the run, so the length of "
                "the run is needed: Pruner(..., steps_per_epoch=..., epochs=...)."
            )

    def _shortfall(self, unmet: tuple[WeightSparsity, ...], ended_at: int) -> str:
        what = ", ".join(
            f"{weight.path} is at {weight.sparsity:.4g}"
            + ("" if weight.target is None else f" of {weight.target:.4g}")
            for weight in unmet
        )
        ends = {str(pruned.schedule.end_step) for pruned in self._pruned}
        return (
            f"Training ended at step {ended_at} before pruning did (end_step="
            f"{', '.join(sorted(ends))}): {what}. Train longer, or give the schedule "
            "an earlier end, such as end_step=Fraction(0.5)."
        )


def _size(pruned: _Pruned) -> int:
    return int(np.prod(pruned.plan.weight.shape, dtype=np.int64))


def _scheduled(pruned: _Pruned) -> float:
    """What the schedule asks for by now: 0 before its begin."""
    return 0.0 if pruned.update is None else pruned.schedule(pruned.update)


def _kept(there: float, pruned: _Pruned) -> float:
    """How much of the zeros already there is taken for a mask.

    All that the schedule will ask for in the end. A weight that is nothing but zeros
    was initialized so; its zeros say nothing.
    """
    return 0.0 if there == 1 else min(there, pruned.schedule.final_sparsity)
