"""One kernel, from its inputs in both models to its solution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_prune_kit.layer_inputs.kernels import Kernel
from keras_prune_kit.layer_inputs.layouts import MOST_ROWS
from keras_prune_kit.reconstruction.obs import prune_in_rounds
from keras_prune_kit.reconstruction.rounding import Grid, round_with_compensation
from keras_prune_kit.reconstruction.solving import has_enough_rows, solve
from keras_prune_kit.reconstruction.statistics import (
    GramStatistics,
    RowStatistics,
    Statistics,
)
from keras_prune_kit.reconstruction.walk import Step
from keras_prune_kit.reports import RepairedWeight, Skipped
from keras_prune_kit.reports.tables import bytes_text

_DOUBLE = 8  # bytes
# An error that is due to rounding of float32.
_EXACT = 1e-11


@dataclass(frozen=True)
class Budget:
    """The limits of a repair.

    Attributes:
        memory_bytes: The most that the statistics of a kernel may take.
        rounds: The rounds in which Optimal Brain Surgeon chooses the zeros anew; 0 to
            keep those that there are.
    """

    memory_bytes: int
    rounds: int = 0


@dataclass
class Outputs:
    """Outputs of the dense kernel for some rows of one call.

    Attributes:
        shape: The shape of the layer's input.
        chosen: The indices of the rows.
        values: The outputs, `(groups, rows, outputs)`.
        rows: The inputs that gave them, for a recurrent kernel. States that a pruned
            cell gives lead away from the dense ones: solved from them, it is worse than
            without a repair.
    """

    shape: tuple[int, ...]
    chosen: np.ndarray
    values: np.ndarray
    rows: np.ndarray | None = None

    def part(self, kept: np.ndarray) -> Outputs:
        """Return those of some of the rows."""
        rows = None if self.rows is None else self.rows[:, kept]
        return Outputs(self.shape, self.chosen[kept], self.values[:, kept], rows)


@dataclass
class Repair(Step):
    """The repair of one kernel, call by call.

    Attributes:
        pruned: The kernel to repair.
        dense: The one whose outputs it shall give.
        budget: The limits.
        grids: The values that its weights are rounded to, for each group; none to
            leave them as they are solved.
        calls: What the dense one gave, by batch and call.
        outcome: The record, once it is solved or cannot be.
    """

    pruned: Kernel
    dense: Kernel
    budget: Budget
    grids: tuple[Grid, ...] = ()
    calls: dict[int, list[Outputs]] = field(default_factory=dict)
    outcome: RepairedWeight | Skipped | None = None
    _statistics: list[Statistics] = field(default_factory=list)
    _most: dict[int, int] = field(default_factory=dict)

    @property
    def layer(self) -> Any:
        return self.pruned.weight.layer

    @property
    def operand(self) -> int:
        return self.pruned.operand

    @property
    def is_done(self) -> bool:
        return self.outcome is not None

    def calls_in(self, batch: int) -> int:
        return len(self.calls.get(batch, ()))

    def take_dense(self, x: np.ndarray | None, batch: int, share: float) -> None:
        """Take the inputs of the dense kernel in its next call.

        Args:
            x: The inputs, or `None` if they have no values.
            batch: The number of the batch.
            share: What part of all rows that are looked at may be from this batch.
        """
        if self.is_done:
            return
        if x is None:
            self.give_up()
            return
        weights = self.dense.read()
        self._most[batch] = self._most_rows(weights, share)
        chosen = self._choose(x.shape, self._most[batch])
        given, values = [], []
        for rows in self.dense.rows(x, chosen):
            values.append(_with_ones(rows, weights.shape[1]) @ weights)
            given += [rows] if self.operand else []
        self.calls.setdefault(batch, []).append(
            Outputs(x.shape, chosen, _joined(values), _joined(given))
        )

    def share(self, batch: int) -> None:
        """Leave each call of a batch its part of the rows that one alone may have."""
        calls = self.calls.get(batch, [])
        for number, outputs in enumerate(calls):
            count = len(outputs.chosen)
            most = max(1, self._most.get(batch, count) // len(calls))
            if count > most:
                random = np.random.default_rng(number)
                kept = np.sort(random.choice(count, most, replace=False))
                calls[number] = outputs.part(kept)

    def start(self) -> None:
        """Forget the inputs of the pruned kernel, before its first call."""
        groups, size, outputs = self.pruned.read().shape
        has_bias = self.pruned.bias is not None
        is_too_large = self._gram_bytes(groups, size) > self.budget.memory_bytes
        kind = RowStatistics if is_too_large else GramStatistics
        self._statistics = [
            kind(size - has_bias, outputs, has_bias) for _ in range(groups)
        ]

    def take(self, x: np.ndarray, batch: int, call: int) -> None:
        """Take the inputs of the pruned kernel in a call."""
        if call >= self.calls_in(batch):
            raise self.missed(call + 1)
        outputs = self.calls[batch][call]
        if x.shape != outputs.shape:
            raise ValueError(
                "The models must be of the same architecture. Received: "
                f"{self.pruned.path} with inputs of shape {outputs.shape} in the dense "
                f"model and of {x.shape} in the pruned one."
            )
        place, own = 0, self.pruned.rows(x, outputs.chosen)
        for rows in own if outputs.rows is None else [outputs.rows]:
            values = outputs.values[:, place : place + rows.shape[1]]
            place += rows.shape[1]
            for statistics, part, targets in zip(
                self._statistics, rows, values, strict=True
            ):
                statistics.add(part, targets)

    def give_up(self) -> None:
        self._leave("its inputs cannot be seen: it runs inside a loop that is compiled")

    def missed(self, calls: int) -> ValueError:
        return ValueError(
            "The models must be of the same architecture. Received: "
            f"{self.pruned.path} is called {calls} times in the pruned model, "
            f"{self.calls_in(0)} in the dense one."
        )

    def finish(self) -> None:
        """Solve the kernel, once all of its calls are taken in."""
        weights = self.pruned.read()
        before, spread = self._error(weights), sum(s.spread for s in self._statistics)
        if not spread or not any(s.energy() for s in self._statistics):
            self._leave("its inputs or outputs do not vary on the data")
        elif before / spread < _EXACT and not self.grids:
            self._leave("its outputs are those of the dense model already")
        else:
            solved = self._rounded(self._solve(weights))
            self.pruned.write(solved)
            after = self._error(self.pruned.read())
            self._record(solved, before / spread, after / spread)
        self._statistics, self.calls = [], {}

    def _leave(self, reason: str) -> None:
        self.outcome = Skipped(self.pruned.path, reason)

    def _solve(self, weights: np.ndarray) -> np.ndarray:
        if self.budget.rounds:
            return np.stack(list(self._surgery(weights)))
        masks = _masks(weights, self.pruned.bias is not None)
        groups = zip(self._statistics, weights, masks, strict=True)
        return np.stack([solve(*group) for group in groups])

    def _rounded(self, solved: np.ndarray) -> np.ndarray:
        if not self.grids:
            return solved
        masks = _masks(solved, self.pruned.bias is not None)
        groups = zip(self._statistics, solved, masks, self.grids, strict=True)
        return np.stack([round_with_compensation(*group) for group in groups])

    def _surgery(self, weights: np.ndarray) -> Iterator[np.ndarray]:
        dense = self.dense.read()
        for number, statistics in enumerate(self._statistics):
            kept = int(np.count_nonzero(weights[number, : statistics.inputs]))
            if not isinstance(statistics, GramStatistics):
                mask = _masks(weights, self.pruned.bias is not None)[number]
                yield solve(statistics, weights[number], mask)
                continue
            rounds = self.budget.rounds
            yield prune_in_rounds(statistics, dense[number], kept, rounds)[0]

    def _error(self, weights: np.ndarray) -> float:
        pairs = zip(self._statistics, weights, strict=True)
        return sum(statistics.error(matrix) for statistics, matrix in pairs)

    def _record(self, solved: np.ndarray, before: float, after: float) -> None:
        inputs = self._statistics[0].inputs
        self.outcome = RepairedWeight(
            self.pruned.path,
            float(np.mean(solved[:, :inputs] == 0)),
            self._statistics[0].rows,
            before,
            after,
            self._note(),
            self.grids[0].bits if self.grids else None,
        )

    def _note(self) -> str:
        statistics, notes = self._statistics[0], []
        if not has_enough_rows(statistics):
            notes.append(
                f"{statistics.rows} rows are fewer than the {statistics.inputs} inputs,"
                " so changes are held back; more data will help"
            )
        if isinstance(statistics, RowStatistics):
            size = statistics.inputs + statistics.has_bias
            needed = bytes_text(self._gram_bytes(len(self._statistics), size))
            notes.append(
                f"solved from the rows, as the products of all inputs need {needed}"
            )
            if self.grids:
                notes.append("rounded to the nearest values; the bias alone makes up")
        return "; ".join(notes)

    def _most_rows(self, weights: np.ndarray, share: float) -> int:
        groups, size, _ = weights.shape
        most = MOST_ROWS
        if self._gram_bytes(groups, size) > self.budget.memory_bytes:
            most = min(most, self.budget.memory_bytes // (_DOUBLE * groups * size))
        return max(1, round(share * most))

    def _choose(self, shape: tuple[int, ...], most: int) -> np.ndarray:
        """Return the indices of the rows that are looked at, spread by chance."""
        # The seed differs between calls, which may have the same shape.
        seed = sum(map(len, self.calls.values()))
        return self.dense.layout.choose(shape, most, seed)

    @staticmethod
    def _gram_bytes(groups: int, size: int) -> int:
        return _DOUBLE * groups * size**2


def _joined(parts: list[np.ndarray]) -> Any:
    """Return parts of rows together in float32, or `None` if there are none."""
    return np.concatenate(parts, axis=1).astype(np.float32) if parts else None


def _with_ones(rows: np.ndarray, size: int) -> np.ndarray:
    """Add the input of the bias, if the weights have a row for it."""
    if rows.shape[-1] == size:
        return rows
    return np.concatenate([rows, np.ones((*rows.shape[:-1], 1))], axis=-1)


def _masks(weights: np.ndarray, has_bias: bool) -> np.ndarray:
    """Return True for each weight that may change."""
    masks = weights != 0
    if has_bias:
        # A channel that is zero with its bias is about to leave the model.
        masks[:, -1] |= masks[:, :-1].any(1)
    return masks
