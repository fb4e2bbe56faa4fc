"""Trained networks of five kinds, and data that they did not see.

The CNN of the MNIST tutorial, LeNet-5 and a Transformer encoder that reads digits row
by row; ResNet8 of MLPerf Tiny for coloured digits; MobileNet 0.25 for TrashNet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from compression_table import ROWS, mobilenet, trashnet
from speed_table import encoder, resnet

SIZE = 32


@dataclass
class Data:
    """Inputs and class numbers, to train with and to test."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    Attributes:
        build: Makes it, untrained; takes the world and the folder of data.
        load: Loads its data from that folder.
        epochs: Epochs of training.
        rate: The peak rate of Adam.
    """

    build: Callable
    load: Callable
    epochs: int
    rate: float = 1e-3


def resnet8(K, folder):
    """Nine convolutions in three stages of one residual block each, 78,714 weights."""
    return resnet(K, folder, (SIZE, SIZE, 3))


def load_mnist(folder):
    with np.load(folder / "mnist.npz") as file:
        x, x_test = (
            file[name][..., None] / np.float32(255) for name in ("x_train", "x_test")
        )
        return Data((x, file["y_train"]), (x_test, file["y_test"]))


def load_coloured(folder):
    """MNIST's digits in colours of their own, on pieces of TrashNet's photographs.

    Digits turn the colours under them around, as in MNIST-M (Ganin et al. 2016). Those
    of training and of test lie on different photographs. They are made anew each time
    from one seed: 30,000 and 10,000 of 32 x 32.
    """
    digits = load_mnist(folder)
    photographs, *_ = trashnet.load(folder / "trashnet224")
    # Smaller, so that a piece of 32 x 32 shows something.
    photographs = photographs[:, ::3, ::3]
    order = np.random.default_rng(0).permutation(len(photographs))
    half = len(order) // 2
    train = tuple(part[:30_000] for part in digits.train)
    return Data(
        coloured(*train, photographs[order[:half]], seed=1),
        coloured(*digits.test, photographs[order[half:]], seed=2),
    )


def coloured(x, y, photographs, seed):
    rng = np.random.default_rng(seed)
    room = photographs.shape[1] - SIZE
    pictures = np.empty((len(x), SIZE, SIZE, 3), "float32")
    for number, digit in enumerate(x):
        top, left = rng.integers(0, room + 1, 2)
        photograph = photographs[rng.integers(len(photographs))]
        piece = photograph[top : top + SIZE, left : left + SIZE] / np.float32(255)
        row, column = rng.integers(0, SIZE - len(digit) + 1, 2)
        place = (slice(row, row + len(digit)), slice(column, column + len(digit)))
        ink = digit * rng.uniform(0.3, 1.0, 3).astype("float32")
        piece = piece.copy()
        piece[place] = np.abs(piece[place] - ink)
        pictures[number] = piece
    return pictures, y


def load_trashnet(folder):
    x, y, _ = trashnet.load(folder / "trashnet224")
    train, _, test = trashnet.split(x, y)
    return Data(train, test)


NETWORKS = {
    "mnist_cnn": Network(ROWS["mnist_cnn"].build, load_mnist, 8),
    "lenet_5": Network(ROWS["lenet_5"].build, load_mnist, 8),
    "resnet8": Network(resnet8, load_coloured, 12, 3e-3),
    "encoder": Network(encoder, load_mnist, 8),
    "trashnet": Network(mobilenet, load_trashnet, 10, 3e-3),
}


def trained(name: str, seed: int, data: Data, folder: Path, models: Path):
    """The trained network, from its file in `models` if there is one."""
    path = models / f"{name}_{seed}.keras"
    if not path.exists():
        keras.utils.set_random_seed(seed)
        network = NETWORKS[name]
        model = network.build(keras, folder)
        train(model, name, data.train, network)
        models.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return keras.models.load_model(path)


def train(model, name, data, network):
    """Trains with Adam; its rate falls along half a cosine, but for MNIST's CNNs."""
    x, y = data[0], keras.utils.to_categorical(data[1])
    if name == "trashnet":
        steps = -(-len(x) // trashnet.BATCH)
        trashnet.compile_for(model, steps, network.epochs, network.rate)
        model.fit(trashnet.batches(*data), epochs=network.epochs, verbose=0)
        return
    rate = network.rate
    if name not in ("mnist_cnn", "lenet_5"):
        steps = network.epochs * -(-len(x) // 128)
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, batch_size=128, epochs=network.epochs, verbose=0)
