"""A name for each tensor: short, and its own, as other tools need it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from keras_prune_kit.tflite.constants import SEPARATOR, is_parameter, short_name
from keras_prune_kit.tflite.shrinking.packing import (
    is_stored,
    signature_entries,
    tensors,
)

_LARGEST_BASE = 36  # That `numpy.base_repr` knows: the fewest digits.


def name_tensors(model: Any) -> None:
    """Give each tensor of an unpacked file a short name that no other one has.

    An interpreter goes by index and needs none, but other tools, such as LiteRT's
    quantizer, look tensors up by name in all subgraphs together. Inputs and outputs get
    their names in the signature, weights keep the first of theirs for reports, and
    others are numbered, which takes about two bytes each after gzip.
    """
    named = _signature_names(model)
    taken = set(named.values())
    unnamed = []
    for tensor in tensors(model):
        name = named.get(id(tensor)) or _weight_name(model, tensor, taken)
        tensor.name = name
        if name:
            taken.add(name)
        else:
            unnamed.append(tensor)
    free = (name for name in map(_number, itertools.count()) if name not in taken)
    for tensor, name in zip(unnamed, free, strict=False):
        tensor.name = name


def _signature_names(model: Any) -> dict[int, bytes]:
    """Return the names of inputs and outputs by the ids of their tensors."""
    found: dict[bytes, Any] = {}
    for number, entry in signature_entries(model):
        tensor = model.subgraphs[number].tensors[entry.tensorIndex]
        # An output may be called like an input: only the first keeps the name.
        found.setdefault(entry.name, tensor)
    return {id(tensor): name for name, tensor in found.items()}


def _weight_name(model: Any, tensor: Any, taken: set[bytes]) -> bytes:
    """Return a free name for a constant that reports list; empty for other tensors."""
    rank = 0 if tensor.shape is None else len(tensor.shape)
    # Biases, of rank 1, are not listed.
    is_listed = rank > 1 and is_parameter(tensor.type, rank, has_step=False)
    name = short_name(tensor.name or b"")
    if not name or not is_listed or not is_stored(model, tensor):
        return b""
    # What follows the separator does not show in reports.
    others = (name + SEPARATOR + _number(i) for i in itertools.count(2))
    return next(n for n in itertools.chain([name], others) if n not in taken)


def _number(number: int) -> bytes:
    return np.base_repr(number, _LARGEST_BASE).encode()
