"""The end of a `fit`, after the `on_train_end` of all callbacks."""

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
    """Register a function to be called after all other callbacks of `fit` have ended.

    Others may write weights in `on_train_end`, as `EarlyStopping` does. That one is
    shown only the epochs at the target sparsity, so that it restores the best of these.

    Args:
        callback: The callback whose `on_train_begin` calls this.
        finish: The function.
        is_at_target: A function that returns True if the model is at the target.

    Returns:
        `False` if the other callbacks cannot be found; nothing is registered then.
    """
    callbacks = _keras.callbacks_beside(callback)
    if callbacks is None:
        return False
    for index, other in enumerate(callbacks):
        if _keras.is_early_stopping(other):
            _log.info("EarlyStopping counts only the epochs at the target sparsity.")
            callbacks[index] = _OnlyAtTarget(other, is_at_target)
    # `fit` reads the list anew for each hook.
    callbacks.append(_Last(callbacks, finish))
    return True


class _Last(TwoWorldCallback):
    """Callback at the end of the list, which it restores before it calls `finish`."""

    def __init__(self, callbacks: list[Any], finish: Callable[[], None]) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._finish = finish

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        # This is the last entry, so the loop over the list skips no other one.
        self._callbacks.remove(self)
        for index, other in enumerate(self._callbacks):
            if isinstance(other, _OnlyAtTarget):
                self._callbacks[index] = other.callback
        self._finish()


# No `Callback`, whose own hooks would be found before `__getattr__` is asked.
class _OnlyAtTarget:
    """Proxy of a callback that hides the ends of epochs below the target sparsity."""

    def __init__(self, callback: Any, is_at_target: Callable[[], bool]) -> None:
        self.callback = callback
        self._is_at_target = is_at_target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.callback, name)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_at_target():
            self.callback.on_epoch_end(epoch, logs)
