"""The other callbacks of a `fit`, which Keras tells none of them about."""

from __future__ import annotations

import sys
from typing import Any


def callbacks_beside(callback: Any) -> list[Any] | None:
    """Return the list of all callbacks of the `fit` that is calling one of them.

    It is the list that `fit` goes through, not the user's: what is put into it is
    called, and gone with the end of `fit`. Keras hands it to no callback, so it is
    looked for among those who are calling.

    Args:
        callback: A callback, from one of whose hooks this is called.

    Returns:
        The list; `None` if somebody else than a `CallbackList` calls the hook.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if type(caller).__name__ == "CallbackList":
            found = getattr(caller, "callbacks", [])
            return found if any(item is callback for item in found) else None
        frame = frame.f_back
    return None


def is_early_stopping(callback: Any) -> bool:
    """Return True for an `EarlyStopping` of either world."""
    return any(base.__name__ == "EarlyStopping" for base in type(callback).__mro__)
