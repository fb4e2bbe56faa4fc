"""A model's weights as an HDF5 file in memory, and the other bytes of its files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np

from keras_prune_kit._keras.models import (
    check_built,
    trained_model,
    variables_among,
    world,
)


def weights_h5(model: Any) -> bytes:
    """Return the weights of a model as an uncompressed HDF5 file in memory.

    The file has the size of what `model.save_weights` writes, without the optimizer
    state. Use it to measure bytes; to load weights again, save them with Keras.

    Args:
        model: A built Keras model.

    Returns:
        The content of the file.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If the model is not built.
    """
    keras = world(model)
    check_built(model)
    model = trained_model(model)
    with h5py.File("weights.h5", "w", driver="core", backing_store=False) as file:
        if keras.__name__ == "keras":
            _write_keras_3(file, model, keras.Model, written=set())
        else:
            _write_keras_2(file, model, keras)
        # The image lacks what HDF5 still has in its cache.
        file.flush()
        return file.id.get_file_image()


def optimizer_bytes(path: Path) -> int:
    """Return the bytes of the optimizer's state in a `.keras` or `.h5` file."""
    if not zipfile.is_zipfile(path):
        return _optimizer_bytes(path)
    with zipfile.ZipFile(path) as archive:
        return _optimizer_bytes(io.BytesIO(archive.read("model.weights.h5")))


def _optimizer_bytes(source: Any) -> int:
    sizes: list[int] = []

    def add(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.nbytes)

    with h5py.File(source) as file:
        for name in {"optimizer", "optimizer_weights"} & set(file):
            group: Any = file[name]
            group.visititems(add)
    return sum(sizes)


def _write_keras_3(
    group: h5py.Group, layer: Any, model_class: type, written: set[int]
) -> None:
    """Write a layer in the layout of `.weights.h5`: own variables, then layers."""
    inner_layers = layer.layers if isinstance(layer, model_class) else ()
    inner = {id(weight) for inner in inner_layers for weight in inner.weights}
    variables = group.create_group("vars")
    variables.attrs["name"] = layer.name
    for weight in layer.weights:
        # Keras, too, stores a shared layer only once.
        if id(weight) not in inner | written:
            written.add(id(weight))
            variables.create_dataset(str(len(variables)), data=_array(weight))
    if inner_layers:
        layers = group.create_group("layers")
        for inner_layer in inner_layers:
            inner_group = layers.create_group(_free_name(layers, inner_layer.name))
            _write_keras_3(inner_group, inner_layer, model_class, written)


def _write_keras_2(file: h5py.File, model: Any, keras: ModuleType) -> None:
    """Write layers in the layout of a legacy `.h5`: a group of named weights each."""
    layers = model.layers
    outer = {id(weight) for layer in layers for weight in layer.weights}
    file.attrs["layer_names"] = _texts(layer.name for layer in layers)
    file.attrs["backend"] = keras.backend.backend()
    file.attrs["keras_version"] = keras.__version__
    for layer in layers:
        name = _free_name(file, layer.name)
        _write_named(file.create_group(name), layer.weights)
    own = [weight for weight in model.weights if id(weight) not in outer]
    _write_named(file.create_group("top_level_model_weights"), own)


def _write_named(group: h5py.Group, weights: list[Any]) -> None:
    weights = variables_among(weights)
    group.attrs["weight_names"] = _texts(weight.name for weight in weights)
    for weight in weights:
        name = _free_name(group, weight.name)
        group.create_dataset(name, data=_array(weight))


def _texts(texts: Any) -> np.ndarray:
    return np.array(list(texts), dtype=h5py.string_dtype())


def _free_name(group: h5py.Group, name: str) -> str:
    """Return the name, with a number appended if taken; Keras allows duplicates."""
    return name if name not in group else f"{name}_{len(group)}"


def _array(weight: Any) -> np.ndarray:
    array = weight.numpy()
    # HDF5 has no bfloat16; uint16 has the same size.
    return array.view(np.uint16) if array.dtype.kind == "V" else array
