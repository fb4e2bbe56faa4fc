"""Checks of the arguments of `compress`."""

from __future__ import annotations

import math
from typing import Any

from keras_prune_kit._tools.checks import check_drop, check_whole, is_number, is_one_of
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.compression.smallest import LEAST_EPOCHS

_TARGETS = ("smallest", "fastest")


def check_epochs(epochs: Any, target: str | None) -> None:
    """Raise a `ValueError` unless there are epochs for a target, or none."""
    check_whole("epochs", epochs, least=0)
    if target is not None and 0 < epochs < LEAST_EPOCHS:
        raise ValueError(
            f"target='{target}' makes several attempts, which share at least "
            f"{LEAST_EPOCHS} epochs. Received: epochs={epochs}. Use 20 or more, 0 to "
            "search without training, or omit the target to prune once."
        )


def check_labelled(model: Any, train_data: Any) -> None:
    """Raise a `ValueError` for inputs alone, unless the model has losses of its own."""
    spec = getattr(train_data, "element_spec", ())
    items = train_data if isinstance(train_data, tuple) else spec
    is_alone = not isinstance(items, tuple) or len(items) == 1
    if hasattr(train_data, "shape") or isinstance(train_data, dict):
        is_alone = True
    if is_alone and model.loss is not None:
        raise ValueError(
            "train_data have labels to train with, (x, y). Received: inputs alone. "
            "Pass epochs=0 to prune and repair without training."
        )


def check_fit_options(batch_size: Any, callbacks: Any, verbose: Any) -> None:
    """Raise an error unless `fit` accepts these arguments."""
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    if not isinstance(callbacks, list | tuple) or not all(
        hasattr(callback, "on_train_begin") and not isinstance(callback, type)
        for callback in callbacks
    ):
        raise TypeError(
            "callbacks is a list of callbacks, each one made, such as "
            f"[kpk.GzipSizeLogger()]. Received: {callbacks!r}."
        )
    if not is_one_of(verbose, ("auto", 0, 1, 2, False, True)):
        raise ValueError(f"verbose is 'auto', 0, 1 or 2. Received: {verbose!r}.")


def check_target(target: Any, max_accuracy_drop: Any) -> None:
    """Raise a `ValueError` unless it is a target, with a drop that can be held."""
    if target is not None and not is_one_of(target, _TARGETS):
        raise ValueError(
            "target is 'smallest', 'fastest' or None, which prunes once. "
            f"Received: {target!r}." + did_you_mean(target, _TARGETS)
        )
    check_drop("max_accuracy_drop", max_accuracy_drop)


def check_budgets(target: Any, speedup: Any, macs: Any, multiple_of: Any) -> None:
    """Raise a `ValueError` unless at most one of target and budgets is given."""
    check_whole("multiple_of", multiple_of)
    named = {"target": target, "speedup": speedup, "macs": macs}
    given = {name: value for name, value in named.items() if value is not None}
    if len(given) > 1:
        raise ValueError(
            "Only one of target, speedup and macs can be given, as each decides how "
            f"much leaves the model. Received: {given}."
        )
    if speedup is not None and (not is_number(speedup) or not 1 < speedup < math.inf):
        raise ValueError(
            "speedup is how many times as fast the file must be, above 1, such as 2. "
            f"Received: speedup={speedup!r}."
        )
    if macs is not None and (not is_number(macs) or not 0 < macs < 1):
        raise ValueError(
            "macs is the share of the multiplications that may be left, above 0 and "
            f"below 1, such as 0.5. Received: macs={macs!r}."
        )
