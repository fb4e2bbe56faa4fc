"""Sorting of the channels between layers, so that similar weights are adjacent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_prune_kit.tflite.shrinking.chains import (
    LAYERS,
    Chains,
    Place,
    packed,
    read,
    write,
)
from keras_prune_kit.tflite.shrinking.ordering import by_count, by_similarity
from keras_prune_kit.tflite.shrinking.packing import kind

# What is larger takes long to try: the products of all pairs of channels in a group,
# and the bytes of all constants.
_MOST_PRODUCTS = 10**10
_MOST_BYTES = 4_000_000


def sort_channels(model: Any) -> None:
    """Sort the channels between consecutive layers of an unpacked file.

    The outputs of one layer and the inputs of the next get the same new order: by the
    number of nonzero weights or by the similarity of their zeros, whichever deflate
    makes smaller, as long as one does; large files by the former alone. Integer sums do
    not depend on the order, so the outputs stay the same. Float sums do, so float
    layers are not sorted, nor are layers that branch. Weights that produce an unused
    channel become zero.
    """
    if len(model.subgraphs) > 1:
        return
    chains, groups = Chains(model), []
    # From the end, as clearing an unused channel may make earlier ones unused.
    for operator in reversed(model.subgraphs[0].operators):
        if kind(model, operator) in LAYERS:
            places = chains.places(operator)
            if places:
                _clear_unused(model, places)
                groups.append(places)
    if sum(_size(buffer) for buffer in model.buffers) > _MOST_BYTES:
        for places in groups:
            _reorder(model, places, next(_orders(_kernels(model, places))))
    else:
        # A kernel has the order of two groups. Each new order makes kernels smaller, so
        # this ends; nothing is left to do for whoever sorts a second time.
        while any([_sort(model, places) for places in groups]):
            pass
    for places in groups:
        _share_steps(model, places)


def _is_used(model: Any, places: list[Place]) -> np.ndarray:
    """Return a bool array `(channels,)`: True where the next layer has weights."""
    channels = places[0].tensor.shape[0]
    return np.count_nonzero(_nonzeros(read(model, places[-1], channels)), axis=1) > 0


def _clear_unused(model: Any, places: list[Place]) -> None:
    """Zero the weights of channels for which the next layer has only zeros."""
    is_used = _is_used(model, places)
    for place in places[:-1]:
        values = read(model, place, is_used.size)
        values[~is_used] = 0
        write(model, place, values, np.arange(is_used.size))


def _sort(model: Any, places: list[Place]) -> bool:
    """Give channels the order that deflates best; return False if they have it."""
    kernels = [place for place in places if len(place.tensor.shape) > 1]
    values = _kernels(model, places)

    def deflated_bytes(order: np.ndarray) -> int:
        pairs = zip(kernels, values, strict=True)
        contents = [packed(place, array[order]) for place, array in pairs]
        return sum(len(zlib.compress(content.tobytes(), 9)) for content in contents)

    present = np.arange(len(values[0]))
    # The first of the smallest: equally small ones change nothing.
    best = min([present, *_orders(values)], key=deflated_bytes)
    if best is present:
        return False
    _reorder(model, places, best)
    return True


def _orders(values: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the orders to try, from the kernels of a group with channels first."""
    masks = [_nonzeros(array) for array in values]
    yield by_count(np.concatenate(masks, axis=1))
    taker = masks[-1]  # Alone: in others, neighbours are far apart.
    if taker.size * len(taker) <= _MOST_PRODUCTS:
        yield by_similarity(taker)


def _kernels(model: Any, places: list[Place]) -> list[np.ndarray]:
    channels = places[0].tensor.shape[0]
    kernels = (place for place in places if len(place.tensor.shape) > 1)
    return [read(model, place, channels) for place in kernels]


def _reorder(model: Any, places: list[Place], order: np.ndarray) -> None:
    for place in places:
        write(model, place, read(model, place, len(order))[order], order)


def _share_steps(model: Any, places: list[Place]) -> None:
    """Give unused channels the scale of the first used one.

    It has no effect, and a repeated one compresses better.
    """
    is_used = _is_used(model, places)
    steps = np.where(is_used, np.arange(is_used.size), is_used.argmax())
    for place in places:
        write(model, place, read(model, place, is_used.size), steps)


def _nonzeros(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1) != 0


def _size(buffer: Any) -> int:
    return 0 if buffer.data is None else len(buffer.data)
