"""The compiled train function of a model, which knows its constraints.

A function that was compiled before a constraint was set ignores it. One that was
compiled with masks is kept beside the plain one, as a later run may have the same
weights under the same masks: it then compiles nothing. Both, and the masks with their
byte a weight, go when the model is compiled anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_KEPT = "_keras_prune_kit_kept"


@dataclass(frozen=True)
class MaskedFunction:
    """A train function that was compiled with masks.

    Attributes:
        function: The function.
        held: For each masked weight, the variable and the constraint beside the mask.
        masks: The variable of the mask of each.
    """

    function: Any
    held: tuple[tuple[Any, Any], ...]
    masks: tuple[Any, ...]

    def fits(self, held: Sequence[tuple[Any, Any]]) -> bool:
        """Return True if it holds the same weights under the same constraints."""
        return len(held) == len(self.held) and all(
            variable is own and constraint is beside
            for (variable, constraint), (own, beside) in zip(
                held, self.held, strict=True
            )
        )


def kept_function(model: Any, held: Sequence[tuple[Any, Any]]) -> MaskedFunction | None:
    """Return the function that an earlier run left for these weights, or `None`."""
    # On the plain function: it goes when that one does, as after `compile`.
    kept = getattr(getattr(model, "train_function", None), _KEPT, None)
    return kept if kept is not None and kept.fits(held) else None


def keep_function(plain: Any, masked: MaskedFunction) -> None:
    """Keep a function that was compiled with masks beside the plain one."""
    with contextlib.suppress(AttributeError):  # A bound method takes no attributes.
        setattr(plain, _KEPT, masked)


def retrace(model: Any) -> None:
    """Rebuild the train function after constraints were added or removed.

    `fit` reads the attribute at every step, so this also works while it runs.
    """
    if getattr(model, "train_function", None) is not None:
        # `make_train_function` does nothing while there is one.
        model.train_function = None
        model.make_train_function()
