"""Four networks that small models are judged by, their data and their dense training.

ResNet8 and DS-CNN are those of MLPerf Tiny (Banbury et al. 2021), the Transformer
encoder tells texts apart:

- `resnet8_cifar10`: CIFAR-10, if its files are there.
- `resnet8_trashnet`: the same network; TrashNet's photographs as 32 x 32.
- `ds_cnn`: sounds that imitate keywords (keyword_sounds.py), no recordings: do not
  compare its accuracy with that of Speech Commands, which `ds_cnn_recorded` has.
- `text_encoder`: docstrings by package (docstring_texts.py).

Data are split once, whatever the seed of a training is: the test data are the same.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import docstring_texts
import keras
import keyword_data
import numpy as np
import tensorflow as tf
from compression_table import Data, trashnet
from speed_table import encoder_block, resnet

_SIDE, _MARGIN = 32, 4


class Splits(NamedTuple):
    """Inputs and class numbers to train with, to choose by and to test."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How the dense network is trained, and what TFMOT's pipeline does with it.

    The names are those of `compression_table.Recipe`.

    Attributes:
        epochs: Epochs of the dense network, and of all that makes it smaller.
        rates: Peak rates of Adam for the dense network, and for TFMOT's pruning.
        batch: Samples of a batch.
        tfmot_sparsity: What TFMOT's tutorial prunes to.
    """

    epochs: tuple[int, int] = (20, 20)
    rates: tuple[float, float] = (3e-3, 1e-3)
    batch: int = 128
    tfmot_sparsity: float = 0.8


@dataclass(frozen=True)
class Network:
    """A network, its data and its dense training.

    Attributes:
        build: Makes it, untrained; takes the world and, unused, the folder of data.
        data: Makes its `Splits`, from the folder of data and a seed.
        recipe: How it is trained.
        augment: Changes a sample at random, each time it is trained on.
    """

    build: Callable
    data: Callable
    recipe: Recipe = field(default_factory=Recipe)
    augment: Callable | None = None


def resnet8(classes):
    """ResNet8 of MLPerf Tiny: 78,666 weights with ten classes."""

    def build(K, folder=None):
        return resnet(K, folder, (_SIDE, _SIDE, 3), classes, is_published=True)

    return build


def ds_cnn(K, folder=None):
    """DS-CNN of MLPerf Tiny for 49 x 10 MFCCs and 12 classes: 24,908 weights."""
    layers, decay = K.layers, K.regularizers.L2(1e-4)

    def activated(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    def convolution(x, size, strides=1):
        options = {"padding": "same", "kernel_regularizer": decay}
        return activated(layers.Conv2D(64, size, strides, **options)(x))

    inputs = layers.Input((49, 10, 1))
    x = layers.Dropout(0.2)(convolution(inputs, (10, 4), 2))
    for _ in range(4):
        x = layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer=decay)(x)
        x = convolution(activated(x), 1)
    x = layers.AveragePooling2D((24, 5))(layers.Dropout(0.4)(x))
    outputs = layers.Dense(len(keyword_data.CLASSES), activation="softmax")
    return K.Model(inputs, outputs(layers.Flatten()(x)))


def text_encoder(K, folder=None):
    """Two blocks of an encoder over the words of a text, 268,936 weights."""
    layers, length = K.layers, docstring_texts.LENGTH
    words = layers.Input((length,), dtype="int32")
    # So that places are a part of the network in both worlds. Not words * 0 + ...: the
    # converter refuses the sum of integers and a vector.
    places = words - (words - np.arange(length, dtype="int32"))
    x = layers.Embedding(docstring_texts.VOCABULARY, 64)(words)
    x = layers.Add()([x, layers.Embedding(length, 64)(places)])
    x = layers.Dropout(0.5)(x)
    for _ in range(2):
        x = encoder_block(K, x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    outputs = layers.Dense(len(docstring_texts.PACKAGES), activation="softmax")
    return K.Model(words, outputs(layers.Dropout(0.5)(x)))


def cifar10(folder, seed):
    """CIFAR-10; the last 5,000 training pictures are held out to choose by."""
    folder = folder / "cifar-10-batches-py"
    names = [f"data_batch_{number}" for number in range(1, 6)]
    read = [_batch(folder / name) for name in names]
    x, y = (np.concatenate(parts) for parts in zip(*read, strict=True))
    held = len(x) // 10
    return Splits(
        (x[:-held], y[:-held]), (x[-held:], y[-held:]), _batch(folder / "test_batch")
    )


def _batch(path):
    """One of CIFAR-10's own files: pictures of 0 to 1 and class numbers."""
    with path.open("rb") as file:
        content = pickle.load(file, encoding="bytes")
    x = content[b"data"].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return x / np.float32(255), np.array(content[b"labels"])


def small_trashnet(folder, seed):
    """TrashNet's photographs, each pixel the mean of 7 x 7, split as everywhere."""
    x, y, _ = trashnet.load(folder / "trashnet224")
    side = x.shape[1] // _SIDE
    # The split makes floats, of which only small ones fit.
    x = x.reshape(len(x), _SIDE, side, _SIDE, side, 3).mean((2, 4), dtype="float32")
    return Splits(*trashnet.split(x / np.float32(255), y))


def sounds(folder, seed):
    return Splits(*keyword_data.synthesized((6000, 4000, 6000), seed))


def recorded_sounds(folder, seed):
    return Splits(*keyword_data.recorded(folder / "speech_commands", seed))


def texts(folder, seed):
    return Splits(*docstring_texts.load((1500, 250, 375), seed))


def mirror_and_move(x, y):
    """One picture, mirrored from left to right and moved, at random."""
    x = tf.image.random_flip_left_right(x)
    x = tf.pad(x, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), "REFLECT")
    return tf.image.random_crop(x, (_SIDE, _SIDE, 3)), y


NETWORKS = {
    "resnet8_trashnet": Network(
        resnet8(6), small_trashnet, Recipe(batch=32), mirror_and_move
    ),
    "ds_cnn": Network(ds_cnn, sounds),
    "text_encoder": Network(text_encoder, texts, Recipe((15, 20), (1e-3, 1e-3))),
    "resnet8_cifar10": Network(resnet8(10), cifar10, augment=mirror_and_move),
    "ds_cnn_recorded": Network(ds_cnn, recorded_sounds),
}


def splits(name: str, folder: Path, cache: Path, seed: int = 0) -> Splits:
    """The data of a network, from its .npz in `cache` if there is one."""
    path = cache / f"{name}.npz"
    if not path.exists():
        made = NETWORKS[name].data(folder, seed)
        arrays: dict[str, Any] = {}
        for part, (x, y) in made._asdict().items():
            arrays |= {f"x_{part}": x, f"y_{part}": y}
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
    with np.load(path) as file:
        return Splits(*((file[f"x_{p}"], file[f"y_{p}"]) for p in Splits._fields))


def batches(network: Network, made: Splits) -> Data:
    """The data as a network trains on them: batches in a new order, one-hot labels."""
    classes = 1 + max(int(y.max()) for _, y in made)
    (x, y), *rest = ((x, keras.utils.to_categorical(y, classes)) for x, y in made)
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x))
    if network.augment:
        train = train.map(network.augment, 2)
    size = network.recipe.batch
    return Data(train.batch(size).prefetch(2), -(-len(x) // size), *rest)
