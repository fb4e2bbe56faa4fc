"""How small the weights of a file could be coded, and how far gzip is from it."""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit.measuring.sizes import gzip_bytes
from keras_prune_kit.reports import EntropyBound, TensorEntropy
from keras_prune_kit.tflite import Constant, TFLiteModel, constants

_RAW_DEFLATE = -15


def entropy_bound(item: Any) -> EntropyBound:
    """The ideal coded size of a .tflite file beside what gzip makes of it.

    Tells whether a file can still shrink without touching the model. Each weight and
    bias counts as the least of these:

    - the zero-order entropy of its values as they are stored (zeros and levels, each
      as often as it occurs, in no order), with a table of what the levels mean where
      values have more than 8 bits;
    - of such values, the entropy of where the zeros are, and the others as they are;
    - what deflate makes of it, where the order of the values does say something.

    Whatever else the file holds counts as gzip makes it alone.

    Args:
        item: The path of a .tflite file, its bytes, or a `TFLiteModel`.

    Returns:
        A record that prints as a table.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is none of these.
        ValueError: If it is not a .tflite file.

    Example:

    ```python
    bound = kpk.entropy_bound("model.tflite")
    print(bound)
    bound.ratio  # 1.25: a quarter above the bound
    ```

    Source: Shannon 1948, "A Mathematical Theory of Communication".
    """
    model = _open(item)
    found = list(constants(model.bytes))
    rest = bytearray(model.bytes)
    for constant in sorted(found, key=lambda c: c.position.start, reverse=True):
        del rest[constant.position]
    tensors = [_tensor(constant, model.bytes) for constant in found]
    return EntropyBound(
        tensors=tuple(sorted(tensors, key=lambda t: t.bound_bytes, reverse=True)),
        rest_bytes=len(rest),
        rest_gzip_bytes=gzip_bytes(rest),
        file_bytes=len(model.bytes),
        gzip_bytes=model.gzip_bytes,
    )


def entropy_bits(values: np.ndarray) -> float:
    """The zero-order entropy of all values together, in bits.

    Example:

    >>> entropy_bits(np.array([0, 0, 1, 2]))  # 2 of 1 bit and 2 of 2 bits
    6.0
    """
    _, counts = np.unique(values, return_counts=True)
    return float(-np.sum(counts * np.log2(counts / counts.sum())))


def _open(item: Any) -> TFLiteModel:
    if isinstance(item, TFLiteModel):
        return item
    if isinstance(item, str | os.PathLike):
        return TFLiteModel(as_path("item", item))
    if isinstance(item, bytes):
        return TFLiteModel(item)
    raise TypeError(
        "item is the path of a .tflite file, its bytes or a TFLiteModel. "
        f"Received: {item!r} of type {type(item).__name__}. Export a Keras model with "
        "kpk.export_tflite first."
    )


def _tensor(constant: Constant, content: bytes) -> TensorEntropy:
    deflate = zlib.compressobj(level=9, wbits=_RAW_DEFLATE)
    deflated_bytes = len(deflate.compress(content[constant.position]) + deflate.flush())
    is_nonzero = constant.stored != constant.zero_point
    return TensorEntropy(
        name=constant.name,
        dtype=constant.dtype,
        shape=constant.shape,
        size=constant.stored.size,
        zeros=constant.stored.size - int(np.count_nonzero(is_nonzero)),
        bound_bytes=min(_entropy_bits(constant, is_nonzero) / 8, deflated_bytes),
        deflated_bytes=deflated_bytes,
    )


def _entropy_bits(constant: Constant, is_nonzero: np.ndarray) -> float:
    levels = constant.stored[is_nonzero]
    as_levels = entropy_bits(constant.stored)
    if constant.bits <= 8:
        return as_levels
    as_levels += np.unique(levels).size * constant.bits
    return min(as_levels, entropy_bits(is_nonzero) + levels.size * constant.bits)
