"""What PruningCallback does to the other callbacks of a `fit`: it ends after them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback

_log = logging.getLogger(__name__)


def stand_last(
    callback: Any, finish: Callable[[], None], is_at_target: Callable[[], bool]
) -> bool:
    """Have something called when `fit` has ended, after all other callbacks.

    Those may write weights at their end, as `EarlyStopping` does. It is shown only the
    epochs at the target, so that the best of them comes back.

    Args:
        callback: The callback from whose `on_train_begin` this is called.
        finish: What to call.
        is_at_target: Tells whether an epoch counts.

    Returns:
        `False` if the other callbacks are not known: then nothing comes last.
    """
    callbacks = _keras.callbacks_beside(callback)
    if callbacks is None:
        return False
    for index, other in enumerate(callbacks):
        if _keras.is_early_stopping(other):
            _log.info("EarlyStopping counts the epochs at the target sparsity alone.")
            callbacks[index] = _OnlyAtTarget(other, is_at_target)
    callbacks.append(_Last(callbacks, finish))
    return True


class _Last(TwoWorldCallback):
    """Ends last, and leaves the list as it was."""

    def __init__(self, callbacks: list[Any], finish: Callable[[], None]) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._finish = finish

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._callbacks.remove(self)
        for index, other in enumerate(self._callbacks):
            if isinstance(other, _OnlyAtTarget):
                self._callbacks[index] = other.callback
        self._finish()


class _OnlyAtTarget:
    """A callback that is not told of epochs below the target sparsity."""

    def __init__(self, callback: Any, is_at_target: Callable[[], bool]) -> None:
        self.callback = callback
        self._is_at_target = is_at_target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.callback, name)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_at_target():
            self.callback.on_epoch_end(epoch, logs)
