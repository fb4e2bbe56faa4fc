"""Compressed size, the size of a model in a download, an app or a firmware image."""

from __future__ import annotations

import bz2
import importlib
import importlib.util
import lzma
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_path, is_one_of
from keras_prune_kit._tools.files import gzip_size
from keras_prune_kit._tools.spelling import did_you_mean


def gzip_bytes(item: Any) -> int:
    """Return the size of a model after compression with gzip.

    Use it to compare pruned models: zeros take as much space as other values until the
    file is compressed. Equal weights always have the same size.

    Args:
        item: A built Keras model, the path of a file, a `TFLiteModel`, or bytes. For a
            Keras model, only the weights count, as its `save_weights` saves them,
            without optimizer and configuration.

    Returns:
        Bytes of the gzip file, level 9, without a timestamp.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If the path is a folder.
        TypeError: If the item is none of these.
        ValueError: If the model is not built.

    Example:

    >>> gzip_bytes(bytes(1_000_000))
    1003
    """
    return gzip_size(_content(item))


def compressed_bytes(item: Any, encoder: str) -> int:
    """Return the size of a model after compression with an encoder other than gzip's.

    Use it to see what a better encoder saves. The files of `"zopfli"` are ordinary gzip
    files: whatever reads gzip reads them. For pruned .tflite files they are some 10 %
    smaller than those of gzip itself, which codes repetitions at a higher cost than
    that of the values they stand for. To write one:

    ```python
    import zopfli.gzip

    with open("model.tflite.gz", "wb") as file:
        file.write(zopfli.gzip.compress(kpk.export_tflite(model).bytes))
    ```

    Args:
        item: As in `gzip_bytes`.
        encoder: `"zopfli"`, which needs `pip install keras-prune-kit[zopfli]` and takes
            some seconds for each 100 kB; `"gzip"`, level 9, as in `gzip_bytes`;
            `"lzma"` (.xz) or `"bz2"`, at their best levels, which need readers of their
            own.

    Returns:
        Bytes of the compressed file.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If `zopfli` is not installed.
        IsADirectoryError: If the path is a folder.
        TypeError: If the item is none of these.
        ValueError: If the model is not built, or there is no such encoder.

    Example:

    >>> compressed_bytes(bytes(1_000_000), "lzma")
    276

    Source: Alakuijala and Vandevenne 2013, "Data compression using Zopfli".
    """
    if not is_one_of(encoder, list(_ENCODERS)):
        raise ValueError(
            f"encoder must be one of {list(_ENCODERS)}. Received: {encoder!r}."
            + did_you_mean(encoder, _ENCODERS)
        )
    return _ENCODERS[encoder](_content(item))


def sparse_content(weights: Iterable[tuple[np.ndarray, Any, int]]) -> bytes:
    """Return weights in a sparse format, to measure its size.

    Each weight becomes a mask of one bit per value, and its nonzero values. For zeros
    in arbitrary positions, no format with random access needs less.

    Args:
        weights: Stored values, the stored value of zero, and the bits per value.

    Returns:
        The bytes, without compression.
    """
    parts = []
    for stored, zero, bits in weights:
        # A quantized weight stores 0.0 as its zero point.
        mask = stored != zero
        values = np.ascontiguousarray(stored[mask])
        if bits < 8:  # Pack values below 8 bits, as the file does.
            # Each value is in a byte of its own, whose lowest bits count.
            low = np.unpackbits(values.view(np.uint8)[:, None], axis=1)[:, -bits:]
            values = np.packbits(low)
        parts += [np.packbits(mask).tobytes(), values.tobytes()]
    return b"".join(parts)


def _zopfli_size(content: bytes) -> int:
    if importlib.util.find_spec("zopfli") is None:
        raise ImportError(
            "encoder='zopfli' needs the package zopfli, which is not installed. "
            "Install it: pip install keras-prune-kit[zopfli]"
        )
    # By name, as it is an extra, which no other encoder needs.
    encoder: Any = importlib.import_module("zopfli.gzip")
    return len(encoder.compress(content))


def _lzma_size(content: bytes) -> int:
    return len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def _bz2_size(content: bytes) -> int:
    return len(bz2.compress(content))


_ENCODERS: dict[str, Callable[[bytes], int]] = {
    "gzip": gzip_size,
    "zopfli": _zopfli_size,
    "lzma": _lzma_size,
    "bz2": _bz2_size,
}


def _content(item: Any) -> bytes:
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if isinstance(item, str | os.PathLike):
        return _read(as_path("item", item))
    content = getattr(item, "bytes", None)
    if isinstance(content, bytes):  # A TFLiteModel; Keras models have no `bytes`.
        return content
    try:
        _keras.world(item)
    except TypeError as error:
        raise TypeError(
            "item is a Keras model, the path of a file, a TFLiteModel or "
            f"bytes. Received: {item!r} of type {type(item).__name__}."
        ) from error
    return _keras.weights_h5(item)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise IsADirectoryError(
            f"A call measures one file. Received the folder: '{path}'. Name a "
            "file in it."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"The path must be that of an existing file. Received: '{path}'. Save the "
            "model there first, or pass the model itself."
        )
    return path.read_bytes()
