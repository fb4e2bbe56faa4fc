"""The entropy bound of a .tflite file: its smallest size with an ideal coder."""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np

from keras_prune_kit._tools.checks import as_path
from keras_prune_kit.measuring.sizes import gzip_bytes
from keras_prune_kit.reports import EntropyBound, TensorEntropy
from keras_prune_kit.tflite import Constant, TFLiteModel, constants

_RAW_DEFLATE = -15  # zlib's code for no header and no checksum


def entropy_bound(item: Any) -> EntropyBound:
    """Return the ideal coded size of a .tflite file, and its size after gzip.

    Use it to find out if a file can shrink further without a change of the model. Each
    weight and bias counts as the smallest of:

    - the zero-order entropy of its stored values, which ignores their order; for values
      of more than 8 bits, a table of the distinct nonzero values is added;
    - for values of more than 8 bits, the entropy of the zero mask plus the nonzero
      values without compression;
    - its size after deflate, which makes use of the order of the values.

    The rest of the file counts with its gzipped size.

    Args:
        item: The path of a .tflite file, its bytes, or a `TFLiteModel`.

    Returns:
        A record that prints as a table.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the item is none of these.
        ValueError: If the file is not a .tflite file.

    Example:

    ```python
    bound = kpk.entropy_bound("model.tflite")
    print(bound)
    bound.ratio  # 1.25: 25 % above the bound
    ```

    Source: Shannon 1948, "A Mathematical Theory of Communication".
    """
    model = _open(item)
    found = list(constants(model.bytes))
    rest = bytearray(model.bytes)
    # From the end of the file, so that the positions before stay valid.
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
    """Return the zero-order entropy of all values together, in bits.

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
        "item must be the path of a .tflite file, its bytes or a TFLiteModel. "
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
    # A decoder must be told the levels; of 8 bits there are at most 256.
    as_levels += np.unique(levels).size * constant.bits
    return min(as_levels, entropy_bits(is_nonzero) + levels.size * constant.bits)
