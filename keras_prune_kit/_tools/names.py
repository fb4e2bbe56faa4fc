"""Names of inputs and outputs, and what belongs to which of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def plain(name: object) -> str:
    """The name in letters, digits and underscores, as functions have it."""
    return re.sub(r"\W", "_", str(name), flags=re.ASCII).strip("_")


def plain_names(names: Sequence[str], fallback: str) -> list[str]:
    """Names that a function can have; `fallback_0` and so on if they are no good."""
    spelled = list(map(plain, names))
    if all(spelled) and len(set(spelled)) == len(spelled):
        return spelled
    return [f"{fallback}_{index}" for index in range(len(names))]


def unique(names: Iterable[str]) -> list[str]:
    """The names, repeated ones with a number: `b`, `b_1`."""
    found: list[str] = []
    for name in names:
        proposal, count = name, 0
        while proposal in found:
            count += 1
            proposal = f"{name}_{count}"
        found.append(proposal)
    return found


def keys_of(names: Sequence[str], given: Mapping[Any, Any]) -> list[Any] | None:
    """The keys that stand for names, in the order of the names.

    A key may be spelled plainly where the name is not, and the other way round: files
    are made by programs that know only plain names.

    Args:
        names: What is asked for, such as the inputs of a file.
        given: What there is; it may have more.

    Returns:
        One key a name; `None` where one is missing or not clear.
    """
    others = [key for key in given if key not in names]
    keys = []
    for name in names:
        alike = [key for key in others if plain(key) == plain(name)]
        choices = [name] if name in given else alike
        if len(choices) != 1:
            return None
        keys += choices
    return keys if len(set(keys)) == len(keys) else None


def labels_by_output(y: Any, names: Sequence[str]) -> list[Any]:
    """The labels of each output.

    Args:
        y: One array for one output; for several a list in their order, or a dict by
            their names.
        names: The names of the outputs.

    Raises:
        ValueError: If it is not clear which labels are of which output.
    """
    if isinstance(y, Mapping):
        keys = keys_of(names, y)
        if keys is not None:
            return [y[key] for key in keys]
    elif len(names) == 1:
        return [y]
    elif isinstance(y, list | tuple) and len(y) == len(names):
        return list(y)
    received = f"a dict with {list(y)}" if isinstance(y, Mapping) else _described(y)
    raise ValueError(
        f"y must have labels for each of the outputs {list(names)}: a list of "
        f"{len(names)} arrays in this order, or a dict of them by name. Received: "
        f"{received}."
    )


def _described(y: Any) -> str:
    if hasattr(y, "shape"):
        return f"one array of shape {tuple(y.shape)}"
    return f"a {type(y).__name__} of {len(y)}"
