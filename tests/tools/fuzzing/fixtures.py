"""What valid arguments are made of: a small model, its files and its data."""

import functools
import importlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

import keras_prune_kit as kpk

WORLDS = ("keras", "tf_keras")
FILES = ("model.keras", "model.h5", "model.tflite", "data.npz", "policy.json")


class Fixtures:
    """A model of one world in a folder of its own."""

    def __init__(self, world):
        self.K = importlib.import_module(world)
        self.K.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(32, 8)).astype("float32")
        self.y = (self.x[:, 0] > 0).astype("int64") + (self.x[:, 1] > 0)
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.model = self.build()
        self.model.fit(self.x, self.y, verbose=0)
        self.weights = [array.copy() for array in self.model.get_weights()]

    def build(self, compiled=True):
        layers = self.K.layers
        model = self.K.Sequential(
            [
                layers.Input((8,)),
                layers.Dense(16, activation="relu", name="hidden"),
                layers.Dense(3, activation="softmax", name="classifier"),
            ]
        )
        if compiled:
            loss = "sparse_categorical_crossentropy"
            model.compile("adam", loss, metrics=["accuracy"])
            model.optimizer.build(model.trainable_variables)
        return model

    def state(self, kind):
        """The state of a train step that keeps it outside of the model."""
        if self.K.__name__ != "keras":  # Optimizers of Keras 2 have no stateless_apply.
            return []
        model = self.model
        kinds = {
            "trainable": model.trainable_variables,
            "optimizer": model.optimizer.variables,
        }
        return [variable.value for variable in kinds[kind]]

    def check_unchanged(self):
        """Whether the model is as it was; makes it so again."""
        pairs = zip(self.model.get_weights(), self.weights, strict=True)
        same = all(np.array_equal(now, before) for now, before in pairs)
        free = all(layer.kernel_constraint is None for layer in self.model.layers)
        if not same:
            self.model.set_weights(self.weights)
        return same and free

    def made(self, name):
        """A value of `values.Made`."""
        K, other = self.K, WORLDS[self.K.__name__ == WORLDS[0]]
        batches = [(self.x[:16], self.y[:16]), (self.x[16:], self.y[16:])]
        if name == "dataset":
            return _dataset(self.x, self.y)
        if name == "empty dataset":
            return _dataset(self.x, self.y).take(0)
        if name == "not finite":
            model = self.build()
            model.set_weights([np.full_like(w, np.nan) for w in self.weights])
            return model
        return {
            "unbuilt": lambda: K.Sequential([K.layers.Dense(3)]),
            "uncompiled": lambda: self.build(compiled=False),
            "layer": lambda: self.model.layers[0],
            "class": lambda: K.Sequential,
            "generator": lambda: (batch for batch in batches),
            "other world": lambda: of_world(other).model,
        }[name]()

    @functools.cached_property
    def tflite(self):
        return kpk.export_tflite(self.model)

    @functools.cached_property
    def files(self):
        """The content of a valid file of each kind, by its name."""
        for name in FILES[:2]:
            self.model.save(self.folder / name)
        self.tflite.save(self.folder / "model.tflite")
        np.savez(self.folder / "data.npz", x=self.x, y=self.y)
        policy = kpk.PrunePolicy(0.5, [kpk.Rule("hidden", None)])
        (self.folder / "policy.json").write_text(json.dumps(policy.to_dict()))
        return {name: (self.folder / name).read_bytes() for name in FILES}

    def path(self, name):
        """The path of a valid file, whatever cases have put in its place."""
        content, path = self.files[name], self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.write_bytes(content)
        return str(path)

    @functools.cached_property
    def comparison(self):
        return kpk.compare({"a": self.model, "b": self.tflite}, self.x, self.y)

    @functools.cached_property
    def hypermodel(self):
        return kpk.CompressionHyperModel(self.model, quantization=("none",))


def _dataset(*arrays):
    tf = importlib.import_module("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(16)


@functools.cache
def of_world(name):
    return Fixtures(name)
