"""Names of inputs and outputs, and matching of data to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def plain(name: object) -> str:
    """Return the name with only letters, digits and underscores, as in a signature."""
    return re.sub(r"\W", "_", str(name), flags=re.ASCII).strip("_")


def plain_names(names: Sequence[str], fallback: str) -> list[str]:
    """Return plain names, or `fallback_0`, `fallback_1`, ... if some miss or repeat."""
    spelled = list(map(plain, names))
    if all(spelled) and len(set(spelled)) == len(spelled):
        return spelled
    return [f"{fallback}_{index}" for index in range(len(names))]


def unique(names: Iterable[str]) -> list[str]:
    """Return the names with numbers appended to repeated ones: `b`, `b_1`."""
    found: list[str] = []
    for name in names:
        proposal, count = name, 0
        while proposal in found:
            count += 1
            proposal = f"{name}_{count}"
        found.append(proposal)
    return found


def keys_of(names: Sequence[str], given: Mapping[Any, Any]) -> list[Any] | None:
    """Return the key of a mapping for each name, in the order of the names.

    A key and a name also match if their plain forms are equal, because converters write
    only plain names to files.

    Args:
        names: The required names, such as those of the inputs of a file.
        given: The available values; it may contain more keys.

    Returns:
        One key per name; `None` if one is missing or ambiguous.
    """
    others = [key for key in given if key not in names]
    keys = []
    for name in names:
        # A key that is another name exactly belongs to that one.
        alike = [key for key in others if plain(key) == plain(name)]
        choices = [name] if name in given else alike
        if len(choices) != 1:
            return None
        keys += choices
    return keys if len(set(keys)) == len(keys) else None


def labels_by_output(y: Any, names: Sequence[str]) -> list[Any]:
    """Return the labels of each output, in the order of the outputs.

    Args:
        y: One array for a single output; for several outputs a list in their order, or
            a dict by name.
        names: The names of the outputs.

    Raises:
        ValueError: If the labels cannot be assigned to the outputs.
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
