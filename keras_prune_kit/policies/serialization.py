"""Policies as plain data.

A schedule, structure or criterion becomes `{"name": ..., field: value, ...}`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

from keras_prune_kit import _keras, criteria, schedules, structures
from keras_prune_kit._tools.spelling import did_you_mean


def encode(value: Any) -> Any:
    """Return plain data that `decode` turns back into an equal value.

    Raises:
        ValueError: If the value is not one of this package's own.
    """
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    name = getattr(value, "__name__", type(value).__name__)
    # The object itself must be ours: a user's function may be named `magnitude`.
    if _registry().get(name) not in (value, type(value)):
        raise ValueError(
            "Only schedules, structures and criteria of keras_prune_kit can be written "
            f"down. Received: {value!r}."
        )
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    return {"name": name, **{f.name: encode(getattr(value, f.name)) for f in fields}}


def decode(data: Any) -> Any:
    """Return the value that `encode` wrote down.

    Raises:
        ValueError: If a name is not known.
        TypeError: If a field is not known.
    """
    if isinstance(data, list):
        # JSON has no tuples; each list was one, as `encode` accepts no lists.
        return tuple(decode(item) for item in data)
    if not isinstance(data, dict):
        return data
    named = _registry().get(data["name"])
    if named is None:
        raise ValueError(
            f"Unknown schedule, structure or criterion: {data['name']!r}. "
            f"Known: {', '.join(sorted(_registry()))}."
            + did_you_mean(data["name"], _registry())
        )
    if inspect.isfunction(named):
        return named
    return named(**{key: decode(item) for key, item in data.items() if key != "name"})


def encode_match(match: Any) -> Any:
    """Return a regex as it is, and a built-in layer class by its public name."""
    if isinstance(match, str):
        return match
    if isinstance(match, type):
        return {"layer_class": _keras.layer_class_name(match)}
    raise ValueError(
        "A rule that matches by a callable cannot be written down. Match by a regex "
        f"on the path instead. Received: {match!r}."
    )


def decode_matches(data: list[Any]) -> Any:
    """Return the `match` argument of a `Rule`."""
    matches = [
        item if isinstance(item, str) else _keras.layer_class(item["layer_class"])
        for item in data
    ]
    return matches[0] if len(matches) == 1 else matches


@functools.cache
def _registry() -> dict[str, Any]:
    """Return every schedule, structure and criterion of the package, by name."""
    return {
        name: value
        for module in (schedules, structures, criteria)
        for name, value in vars(module).items()
        # Without what these modules themselves import.
        if getattr(value, "__module__", "").startswith(module.__name__)
        and (dataclasses.is_dataclass(value) or criteria.is_criterion(value))
    }
