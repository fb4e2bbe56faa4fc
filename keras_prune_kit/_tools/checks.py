"""Checks of arguments, whose error messages name the argument."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from keras_prune_kit._tools.spelling import did_you_mean

if TYPE_CHECKING:
    import numpy as np

# One percentage point of accuracy, or one percent more error, as MLPerf's usual target
# is 99 % of the reference. Less means no error at all where samples are few: one of
# 100 is 0.01.
MAX_ACCURACY_DROP = 0.01

SEARCHED_SPARSITY = (0.5, 0.99)

# Of messages of Keras.
_COLORS = re.compile(r"\x1b\[\d+m")
_CALLING = "Exception encountered when calling"
_TRACED = re.compile(r"^in user code:.*?\n +\w+Error: (.+)", re.DOTALL)

_MODES = ("auto", "max", "min")


def is_number(value: object) -> TypeGuard[float]:
    """Return True for a real number that is not a bool."""
    # The abstract class also covers numpy's scalars.
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Return True for an integer that is not a bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_one_of(value: object, choices: Sequence[Any]) -> bool:
    """Return True if a value equals a choice of the same type."""
    # Types first: comparing an array would return an array, and True == 1.
    return any(type(value) is type(choice) and value == choice for choice in choices)


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise a `ValueError` unless a value is an integer of at least `least`."""
    if not is_whole(value) or value < least:
        raise ValueError(
            f"{name} is a whole number of at least {least}. Received: {name}={value!r}."
        )


def check_flag(name: str, value: object) -> None:
    """Raise a `TypeError` unless a value is `True` or `False`."""
    # numpy's type is named bool_ or bool, depending on its version.
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{name} is True or False. Received: {name}={value!r}.")


def check_number(
    name: str, value: object, least: float, most: float = math.inf
) -> None:
    """Raise a `ValueError` unless a value is a finite number within bounds."""
    if not is_number(value) or not math.isfinite(value) or not least <= value <= most:
        bounds = f"of {least} to {most}" if most < math.inf else f"of at least {least}"
        raise ValueError(f"{name} is a number {bounds}. Received: {name}={value!r}.")


def check_drop(name: str, drop: object) -> None:
    """Raise a `ValueError` unless an accepted drop is at least 0 and below 1."""
    if not is_number(drop) or not 0 <= drop < 1:
        raise ValueError(
            f"{name} is the largest accepted drop, at least 0 and below 1 (0.01 for "
            "one percentage point of accuracy, or one percent more error). Received: "
            f"{name}={drop!r}."
        )


def check_decision(objective: object, mode: object) -> None:
    """Raise an error unless `objective` and `mode` are of a valid form."""
    if objective is not None and not isinstance(objective, str):
        raise TypeError(
            "objective is the name of the metric that decides, as evaluate returns it. "
            f"Received: objective={objective!r}."
        )
    if not is_one_of(mode, _MODES):
        raise ValueError(
            "mode is 'max' if a higher metric is better, 'min' if a lower one is, or "
            f"'auto'. Received: mode={mode!r}." + did_you_mean(mode, _MODES)
        )


def check_objective(objective: str, names: Collection[str]) -> None:
    """Raise a `ValueError` unless the objective is one of the metrics."""
    if objective not in names:
        raise ValueError(
            f"objective is one of the metrics that the model is evaluated by: "
            f"{', '.join(names)}. "
            f"Received: objective={objective!r}." + did_you_mean(objective, names)
        )


def as_path(name: str, value: Any) -> Path:
    """Return a value as a `Path`.

    Raises:
        TypeError: If it is neither a string nor a path.
        ValueError: If it cannot be the path of a file, such as an empty string.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} is a path: a str or a pathlib.Path. Received: {name}={value!r}."
        )
    path = Path(value)
    try:
        # Lone surrogates in a string have no bytes in the file system's encoding.
        name_bytes = os.fsencode(value)
        is_possible = bool(name_bytes) and b"\0" not in name_bytes
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(
            f"{name} must be a valid path of a file. Received: {name}={value!r}."
        )
    return path


def as_array(name: str, value: Any, least_axes: int = 0) -> np.ndarray:
    """Return a value as an array of real numbers.

    Args:
        name: The name of the argument.
        value: An array, or anything that numpy converts to one.
        least_axes: The minimum number of axes. Defaults to 0.

    Raises:
        TypeError: If it contains anything but numbers.
        ValueError: If it has fewer axes.
    """
    # Imported here so that `--help`, which only checks paths, starts without numpy.
    import numpy as np

    if hasattr(value, "detach"):  # A torch tensor, perhaps of a gradient graph.
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:  # Objects inside a list can raise any error.
        raise _no_array(name, value) from error
    if array.dtype.kind not in "biufV":  # bfloat16 has kind V.
        raise _no_array(name, value)
    if array.ndim < least_axes:
        raise ValueError(
            f"{name} must have {least_axes} axes or more. Received: an array of shape "
            f"{array.shape}."
        )
    return array


def as_number(name: str, value: Any) -> float:
    """Return a number or an array of one number as a float.

    Raises:
        TypeError: If it is no number.
        ValueError: If there is not exactly one.
    """
    array = as_array(name, value)
    if array.size != 1:
        raise ValueError(
            f"{name} is one number. Received: an array of shape {array.shape}."
        )
    return float(array.astype(float).item())


def widened(array: np.ndarray) -> np.ndarray:
    """Cast to float32 at least: in float16, small products and means become 0."""
    import numpy as np  # Imported here for the same reason as in `as_array`.

    return array.astype(np.promote_types(array.dtype, np.float32), copy=False)


@contextlib.contextmanager
def using(
    name: str,
    but: type[Exception] | tuple[()] = (),
    remedy: Callable[[], str] = str,
) -> Iterator[None]:
    """Turn errors of third-party code into a `ValueError` that names an argument.

    Args:
        name: The name of the argument that the code uses.
        but: Errors with another cause, which are not changed. Defaults to none.
        remedy: Called after an error for what to do. Defaults to nothing.
    """
    try:
        yield
    except but:
        raise
    except Exception as error:
        told = " ".join(filter(None, (reason_of(error), remedy())))
        raise ValueError(f"{name} cannot be used: {told}") from error


def reason_of(error: Exception) -> str:
    """Return the line of an error's message that has its reason.

    Keras puts it below the name of the layer that was called, Keras 2 also at the end
    of a traceback, behind the type of the error.
    """
    text = _COLORS.sub("", str(error)).strip()
    found = _TRACED.search(text)
    lines = (found[1] if found else text).splitlines()
    told = (line.strip() for line in lines if not line.startswith(_CALLING))
    return next(filter(None, told), type(error).__name__)


def _no_array(name: str, value: object) -> TypeError:
    return TypeError(
        f"{name} is an array of numbers. Received: a value of type "
        f"{type(value).__name__}."
    )
