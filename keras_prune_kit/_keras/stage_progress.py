"""A callback that reports the progress of Keras to `_tools.progress`."""

from __future__ import annotations

import contextlib
from typing import Any

from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit._tools import progress


class StageProgress(TwoWorldCallback):
    """Callback that opens a stage for each `fit`, `evaluate` or `predict`.

    Steps are batches; if their number is unknown, the steps of `fit` are epochs.

    Args:
        training: The name of the stage of `fit`. Defaults to `"training"`.
    """

    def __init__(self, training: str = "training") -> None:
        super().__init__()
        self.training = training
        self._open: list[tuple[contextlib.ExitStack, progress.Stage]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._open.clear()  # An interrupted run leaves its stages open.
        # Without a number of steps, `fit` advances once per epoch.
        self._begin(self.training, self.params["epochs"] * (self._steps or 1))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        _, stage = self._open[-1]
        stage.rename(f"{self.training}, epoch {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._steps:
            self._advance()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._steps:
            self._advance()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Within `fit`, `params["steps"]` is that of training.
        self._begin("evaluating", None if self._open else self._steps)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._advance()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin("predicting", self._steps)

    def on_predict_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._advance()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end()

    @property
    def _steps(self) -> int | None:
        return (self.params or {}).get("steps")

    def _begin(self, name: str, total: int | None) -> None:
        end = contextlib.ExitStack()
        self._open.append((end, end.enter_context(progress.stage(name, total))))

    def _advance(self) -> None:
        _, stage = self._open[-1]
        stage.advance()

    def _end(self) -> None:
        end, _ = self._open.pop()
        end.close()

    def _implements_test_batch_hooks(self) -> bool:
        return True

    def _implements_predict_batch_hooks(self) -> bool:
        return True
