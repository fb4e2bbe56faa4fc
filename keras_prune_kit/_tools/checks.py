"""Small checks of arguments. Each message names the argument."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import numpy as np


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number and not a bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_one_of(value: object, choices: Sequence[Any]) -> bool:
    """Whether it is a choice, in kind too; an array is none, and is not compared."""
    return any(type(value) is type(choice) and value == choice for choice in choices)


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raises a `ValueError` unless it is a whole number that is large enough."""
    if not is_whole(value) or value < least:
        raise ValueError(
            f"{name} is a whole number of at least {least}. Received: {name}={value!r}."
        )


def check_flag(name: str, value: object) -> None:
    """Raises a `TypeError` unless it is `True` or `False`."""
    # numpy's own is called bool_ or bool, by its version.
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{name} is True or False. Received: {name}={value!r}.")


def check_number(
    name: str, value: object, least: float, most: float = math.inf
) -> None:
    """Raises a `ValueError` unless it is a finite number within bounds."""
    if not is_number(value) or not math.isfinite(value) or not least <= value <= most:
        bounds = f"of {least} to {most}" if most < math.inf else f"of at least {least}"
        raise ValueError(f"{name} is a number {bounds}. Received: {name}={value!r}.")


def check_decision(objective: object, mode: object) -> None:
    """Raises an error unless these can say which metric decides, and which way."""
    if objective is not None and not isinstance(objective, str):
        raise TypeError(
            "objective is the name of the metric that decides, as evaluate gives it. "
            f"Received: objective={objective!r}."
        )
    if not is_one_of(mode, ("auto", "max", "min")):
        raise ValueError(
            "mode is 'max' if more of the metric is better, 'min' if less is, or "
            f"'auto'. Received: mode={mode!r}."
        )


def check_objective(objective: str, names: Collection[str]) -> None:
    """Raises a `ValueError` unless the metric that decides is one that there is."""
    if objective not in names:
        raise ValueError(
            f"objective is one of what the model is evaluated by: {', '.join(names)}. "
            f"Received: objective={objective!r}."
        )


def as_path(name: str, value: Any) -> Path:
    """The path that a value stands for.

    Raises:
        TypeError: If it is neither a text nor a path.
        ValueError: If no file can be called so.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} is a path: a text or a pathlib.Path. Received: {name}={value!r}."
        )
    path = Path(value)
    try:
        name_bytes = os.fsencode(value)
        is_possible = bool(name_bytes) and b"\0" not in name_bytes
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"{name} can be no file's. Received: {name}={value!r}.")
    return path


def as_array(name: str, value: Any, least_axes: int = 0) -> np.ndarray:
    """A value as an array of real numbers.

    Args:
        name: The name of the argument.
        value: An array, or what numpy makes one of.
        least_axes: How many axes it must have.

    Raises:
        TypeError: If it holds anything else than numbers.
        ValueError: If it has fewer axes.
    """
    # Here, because `--help` needs paths alone, and no numpy.
    import numpy as np

    try:
        array = np.asarray(value)
    except Exception as error:  # Whatever the parts of a nest think of it.
        raise _no_array(name, value) from error
    if array.dtype.kind not in "biufV":  # V is what bfloat16 counts as.
        raise _no_array(name, value)
    if array.ndim < least_axes:
        raise ValueError(
            f"{name} must have {least_axes} axes or more. Received: an array of shape "
            f"{array.shape}."
        )
    return array


def widened(array: np.ndarray) -> np.ndarray:
    """The array in float32 at least: in half precision products and means become 0."""
    import numpy as np  # Here, as above.

    return array.astype(np.promote_types(array.dtype, np.float32), copy=False)


@contextlib.contextmanager
def using(name: str, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Say which argument it was that code of others could not use.

    Args:
        name: The name of the argument.
        but: An error that is about something else and passes as it is.
    """
    try:
        yield
    except but:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{name} cannot be used: {reason}") from error


def _no_array(name: str, value: object) -> TypeError:
    return TypeError(
        f"{name} is an array of numbers. Received: a value of type "
        f"{type(value).__name__}."
    )
