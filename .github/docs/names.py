"""The public names: their groups, and where each is defined."""

from __future__ import annotations

import functools
import re
from typing import Any

import griffe

import keras_prune_kit as kpk

BRIDGE = "tfmot"
_GROUP = re.compile(r"^(\S.*):\n\n((?:(?:- |  ).*\n?)+)", re.MULTILINE)
_NAME = re.compile(r"^- `(\w+)`:", re.MULTILINE)


def groups() -> dict[str, list[str]]:
    """Return the names of each group, in the order of the docstrings.

    Raises:
        ValueError: If a public name is in no group or in two, or a name is not public.
    """
    found = {
        title: _NAME.findall(entries)
        for title, entries in _GROUP.findall(kpk.__doc__ or "")
    }
    listed = sorted(name for names in found.values() for name in names)
    if listed != sorted(kpk.__all__):
        wrong = sorted(set(listed) ^ set(kpk.__all__)) or listed
        raise ValueError(
            "The docstring of keras_prune_kit/__init__.py must list each public name "
            f"once, in a group. It does not for {wrong}."
        )
    for names in found.values():
        if BRIDGE in names:
            names += _of_bridge()
    return found


def _of_bridge() -> list[str]:
    names = _NAME.findall(_package()[BRIDGE].docstring.value)
    return [f"{BRIDGE}.{name}" for name in names]


@functools.cache
def defined(name: str) -> str:
    """Return the dotted path where a public name, such as `tfmot.wrap`, is defined."""
    if name == f"{BRIDGE}.PrunableDense":
        return "keras_prune_kit.tfmot.prunable_dense.PrunableDense"
    found = _package()[name]
    if not found.is_alias:
        return found.path
    target = found.final_target
    # Griffe takes the module `compress.compress` for the function of that name.
    return f"{target.path}.{target.name}" if target.is_module else target.path


@functools.cache
def _package() -> Any:
    return griffe.load("keras_prune_kit", allow_inspection=False)


PUBLIC = frozenset(name for names in groups().values() for name in names)
