"""The walk along a model: each step ends where the forward pass reaches it.

A step needs the inputs of one layer for all samples. With several batches, a pass ends
at the layer as long as inputs of other batches are missing, and goes on to the next
layer with the last of them. What a step does is seen by all steps after it.
"""

from __future__ import annotations

import abc
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_prune_kit import _keras


class Step(abc.ABC):
    """Something to do with one layer of a model once its inputs are known.

    Attributes:
        layer: The layer.
        operand: The number of its input that matters.
        is_done: True once it has ended.
    """

    layer: Any
    operand: int = 0

    @property
    @abc.abstractmethod
    def is_done(self) -> bool: ...

    @abc.abstractmethod
    def calls_in(self, batch: int) -> int:
        """Return how often a pass of a batch calls the layer, at least 1."""

    @abc.abstractmethod
    def start(self) -> None:
        """Prepare for the first input."""

    @abc.abstractmethod
    def take(self, x: np.ndarray, batch: int, call: int) -> None:
        """Take the input in a call of the pass of a batch."""

    @abc.abstractmethod
    def finish(self) -> None:
        """End, as all inputs are taken."""

    @abc.abstractmethod
    def give_up(self) -> None:
        """End, as the inputs have no values."""

    @abc.abstractmethod
    def missed(self, calls: int) -> Exception:
        """Return the error for a pass with too few calls."""


def run_steps(model: Any, batches: Sequence[Any], steps: Sequence[Step]) -> list[Any]:
    """Run each step where the forward pass reaches it.

    A layer that is called several times ends its step after the last call. What came
    after the first is computed again then, in another pass.

    Returns:
        The steps in the order in which they ended.

    Raises:
        ValueError: If a layer is not called as often as its step expects.
    """
    walk, layers = _Walk(steps, len(batches)), [step.layer for step in steps]
    while True:
        outputs = _keras.watched_pass(model, batches[walk.batch], layers, walk.seen)
        if outputs is not None:
            break
        walk.turn()
    if walk.waiting is not None:
        raise walk.waiting.missed(walk.calls)
    for step in steps:
        if not step.is_done:
            raise step.missed(0)
    return walk.ended


class _Walk:
    """The state between the calls of all passes.

    Attributes:
        batch: The number of the batch of this pass.
        waiting: The step that needs more inputs.
        calls: The calls of its layer in this pass.
        ended: The steps that ended.
    """

    def __init__(self, steps: Sequence[Step], batches: int) -> None:
        self.batch = self.calls = 0
        self.waiting: Step | None = None
        self.ended: list[Any] = []
        self._batches = batches
        self._missing: set[int] = set()
        self._steps: dict[int, list[Step]] = defaultdict(list)
        for step in steps:
            self._steps[id(step.layer)].append(step)

    def turn(self) -> None:
        """Choose the batch of the next pass."""
        self.calls = 0
        if self._missing:
            self.batch = min(self._missing)

    def seen(self, layer: Any, arrays: list[np.ndarray | None]) -> bool:
        """Take the inputs of a layer; return True if the pass is of no more use."""
        return any(
            self._is_over(step, arrays[step.operand])
            for step in self._steps[id(layer)]
            if not step.is_done and self.waiting in (None, step)
        )

    def _is_over(self, step: Step, x: np.ndarray | None) -> bool:
        if x is None:
            step.give_up()
            self.waiting, self._missing = None, set()
            return False
        if self.waiting is None:
            step.start()
            self.waiting, self.calls = step, 0
            self._missing = set(range(self._batches))
        expected = step.calls_in(self.batch)
        step.take(x, self.batch, self.calls)
        self.calls += 1
        if self.calls < expected:
            return False
        self._missing.remove(self.batch)
        if self._missing:
            return True
        step.finish()
        self.ended.append(step)
        self.waiting = None
        # What follows was computed from the first of several calls as it was before.
        return expected > 1
