"""Compressed size: what a model weighs in a download, an app or a firmware image."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.checks import as_path


def gzip_bytes(item: Any) -> int:
    """The size of a model after compression with gzip.

    The number to compare pruned models by: zeros shrink nothing until the file is
    compressed. The same weights always give the same number.

    Args:
        item: A built Keras model, the path of a file, a `TFLiteModel`, or bytes. A
            model counts as its weights alone, saved by `save_weights` of its
            world: no optimizer, no configuration.

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
    return len(gzip.compress(_content(item), compresslevel=9, mtime=0))


def weights_h5(model: Any) -> bytes:
    """The weights of a model as an HDF5 file in memory, not compressed.

    It weighs what `model.save_weights` writes, without the state of the optimizer.
    It is for counting bytes; to load weights again, save them with Keras.

    Args:
        model: A built Keras model.

    Returns:
        The bytes of the file.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If the model is not built.
    """
    world = _keras.world(model)
    _keras.check_built(model)
    model = _keras.trained_model(model)
    with h5py.File("weights.h5", "w", driver="core", backing_store=False) as file:
        if world.__name__ == "keras":
            _write_keras_3(file, model, world.Model, written=set())
        else:
            _write_keras_2(file, model, world)
        file.flush()
        return file.id.get_file_image()


def sparse_content(weights: Iterable[tuple[np.ndarray, Any, int]]) -> bytes:
    """Weights as a sparse format would store them, to count its bytes.

    Each weight becomes a mask of one bit a value and the values that are not zero:
    no format with random access needs less for zeros in no order.

    Args:
        weights: Stored values, the value that stands for zero, and the bits of each.

    Returns:
        The bytes, not compressed.
    """
    parts = []
    for stored, zero, bits in weights:
        mask = stored != zero
        values = np.ascontiguousarray(stored[mask])
        if bits < 8:  # Values that share a byte do so again.
            low = np.unpackbits(values.view(np.uint8)[:, None], axis=1)[:, -bits:]
            values = np.packbits(low)
        parts += [np.packbits(mask).tobytes(), values.tobytes()]
    return b"".join(parts)


def _content(item: Any) -> bytes:
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if isinstance(item, str | os.PathLike):
        return _read(as_path("item", item))
    content = getattr(item, "bytes", None)
    if isinstance(content, bytes):  # A TFLiteModel; a Keras model has no such thing.
        return content
    try:
        _keras.world(item)
    except TypeError as error:
        raise TypeError(
            "item is a Keras model, the path of a file, a TFLiteModel or "
            f"bytes. Received: {item!r} of type {type(item).__name__}."
        ) from error
    return weights_h5(item)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise IsADirectoryError(
            f"gzip_bytes measures one file. Received the folder: '{path}'. Name a "
            "file in it."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"gzip_bytes needs an existing file. Received: '{path}'. Save the model "
            "there first, or pass the model itself."
        )
    return path.read_bytes()


def _write_keras_3(
    group: h5py.Group, layer: Any, model_class: type, written: set[int]
) -> None:
    """Writes a layer the way `.weights.h5` has it: own variables, then layers."""
    inner_layers = layer.layers if isinstance(layer, model_class) else ()
    inner = {id(weight) for inner in inner_layers for weight in inner.weights}
    variables = group.create_group("vars")
    variables.attrs["name"] = layer.name
    for weight in layer.weights:
        if id(weight) not in inner | written:
            written.add(id(weight))
            variables.create_dataset(str(len(variables)), data=_array(weight))
    if inner_layers:
        layers = group.create_group("layers")
        for inner_layer in inner_layers:
            inner_group = layers.create_group(_free_name(layers, inner_layer.name))
            _write_keras_3(inner_group, inner_layer, model_class, written)


def _write_keras_2(file: h5py.File, model: Any, world: ModuleType) -> None:
    """Writes layers the way a legacy `.h5` has them: a group of named weights each."""
    layers = model.layers
    outer = {id(weight) for layer in layers for weight in layer.weights}
    file.attrs["layer_names"] = _texts(layer.name for layer in layers)
    file.attrs["backend"] = world.backend.backend()
    file.attrs["keras_version"] = world.__version__
    for layer in layers:
        name = _free_name(file, layer.name)
        _write_named(file.create_group(name), layer.weights)
    own = [weight for weight in model.weights if id(weight) not in outer]
    _write_named(file.create_group("top_level_model_weights"), own)


def _write_named(group: h5py.Group, weights: list[Any]) -> None:
    weights = _keras.variables_among(weights)
    group.attrs["weight_names"] = _texts(weight.name for weight in weights)
    for weight in weights:
        name = _free_name(group, weight.name)
        group.create_dataset(name, data=_array(weight))


def _texts(texts: Any) -> np.ndarray:
    return np.array(list(texts), dtype=h5py.string_dtype())


def _free_name(group: h5py.Group, name: str) -> str:
    """The name, or with a number behind it where Keras allows the same one twice."""
    return name if name not in group else f"{name}_{len(group)}"


def _array(weight: Any) -> np.ndarray:
    array = weight.numpy()
    # HDF5 knows no bfloat16; its bytes are the same.
    return array.view(np.uint16) if array.dtype.kind == "V" else array
