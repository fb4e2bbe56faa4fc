"""Access from one callback to the others of the same `fit`; Keras offers none."""

from __future__ import annotations

import sys
from typing import Any


def callbacks_beside(callback: Any) -> list[Any] | None:
    """Return the live list of all callbacks of the `fit` that calls this one.

    This is the list that `fit` iterates over, not the user's argument: callbacks added
    to it are called, and dropped when `fit` ends. Keras does not pass it to callbacks,
    so it is searched for in the frames of the callers.

    Args:
        callback: The callback whose hook calls this function.

    Returns:
        The list; `None` if the hook was not called by a `CallbackList`.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        # By name, as each world has a class of its own.
        if type(caller).__name__ == "CallbackList":
            found = getattr(caller, "callbacks", [])
            # A callback that another one wraps and calls is not in the list itself.
            return found if any(item is callback for item in found) else None
        frame = frame.f_back
    return None


def is_early_stopping(callback: Any) -> bool:
    """Return True for an `EarlyStopping` of either world."""
    return any(base.__name__ == "EarlyStopping" for base in type(callback).__mro__)
