"""One model of the catalogue: how it is made, and what a score of it means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tf_keras
from independent import accuracy, mean_absolute_error

KERAS_3, KERAS_2 = ("keras",), ("tf_keras",)
CATALOGUE: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Score:
    """A metric by its definition.

    Attributes:
        of: From labels and predictions.
        is_error: Whether less of it is better.
        output: Which output it is about; `None` where there is one.
    """

    of: Callable[[np.ndarray, np.ndarray], float]
    is_error: bool = False
    output: Any = None

    def __call__(self, y, p):
        return self.of(_output(y, self.output), _output(p, self.output))

    def missing(self, y, p):
        """How far it is from perfect."""
        return self(y, p) if self.is_error else 1 - self(y, p)

    def missing_by_chance(self, y, p):
        """Likewise, were each sample given the answer to another one."""
        return self.missing(y, cut(p, np.roll(np.arange(len(leaf(p))), 17)))


ACCURACY = Score(accuracy)
MAE = Score(mean_absolute_error, is_error=True)


@dataclass(frozen=True)
class Subject:
    """A trained model with its data.

    Attributes:
        model: Trained and compiled.
        train: `(x, y)`, or with weights of samples.
        held: Likewise, of samples that it was not trained on.
        representative: Some inputs of the training.
        scores: Its metrics, by the names that Keras gives them.
        objects: What Keras has to be told to load it.
    """

    model: Any
    train: tuple
    held: tuple
    representative: Any
    scores: Mapping[str, Score]
    objects: Mapping[str, Any]

    @property
    def x(self):
        return self.held[0]

    @property
    def y(self):
        return self.held[1]


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        build: Makes it and trains it, of the layers of a world.
        worlds: Where its layers exist.
        refused: The reason (a regex) that an `ExportError` gives, by quantization, or
            by world and quantization as in `"keras int8"`.
        loads: Whether Keras can load what it saves of it.
        told: The reason (a regex) that the log gives why the int8 file is not as good
            as the model, by world; the file is not measured then.
    """

    build: Callable[[Any], Subject]
    worlds: tuple[str, ...]
    refused: Mapping[str, str]
    loads: bool
    told: Mapping[str, str]

    def refusal(self, world, quantization):
        every = self.refused.get(quantization)
        return self.refused.get(f"{world} {quantization}", every)


def ordinary(worlds=KERAS_3 + KERAS_2, refused=None, loads=True, told=None):
    """Puts a builder into the catalogue."""

    def add(build):
        CATALOGUE[build.__name__] = Entry(
            build, worlds, refused or {}, loads, told or {}
        )
        return build

    return add


def trained(
    model, *data, scores, epochs=12, rate=0.01, held=256, objects=None, **compiled
):
    """Trains on all samples but the last.

    Args:
        model: Of either world.
        *data: Inputs, labels, and weights of samples if there are any.
        scores: Its metrics, by the names that Keras gives them.
        epochs: How long. Defaults to 12.
        rate: The learning rate, or a schedule of it. Defaults to 0.01.
        held: How many samples are not trained on. Defaults to 256.
        objects: What Keras has to be told to load it. Defaults to nothing.
        **compiled: What else `compile` is given.
    """
    model.compile(_world(model).optimizers.Adam(rate), **compiled)
    train = tuple(cut(item, slice(None, -held)) for item in data)
    rest = tuple(cut(item, slice(-held, None)) for item in data)
    model.fit(*train[:2], sample_weight=(*train, None)[2], epochs=epochs, verbose=0)
    return Subject(model, train, rest, cut(train[0], slice(100)), scores, objects or {})


def classifier(model, x, y, **more):
    """Trained on numbers of classes, one a sample or one a step."""
    kind = "binary" if y.ndim == 2 and y.shape[1] == 1 else "sparse_categorical"
    compiled = {"loss": f"{kind}_crossentropy", "metrics": ["accuracy"]}
    return trained(model, x, y, scores={"accuracy": ACCURACY}, **compiled, **more)


def regressor(model, x, y, **more):
    compiled = {"loss": "mse", "metrics": ["mae"]}
    return trained(model, x, y, scores={"mae": MAE}, **compiled, **more)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def integers(high, *shape, low=0, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape).astype("int32")


def cut(nest, part):
    """Some of the samples of a nest of arrays."""
    if isinstance(nest, dict):
        return {key: cut(value, part) for key, value in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest)(cut(value, part) for value in nest)
    return nest[part]


def leaf(nest):
    """One array of a nest."""
    while isinstance(nest, dict | list | tuple):
        nest = next(iter(nest.values() if isinstance(nest, dict) else nest))
    return nest


def _output(nest, key):
    return nest if key is None else nest[key]


def _world(model):
    is_keras_3 = any(c.__module__.startswith("keras.") for c in type(model).__mro__)
    return keras if is_keras_3 else tf_keras
