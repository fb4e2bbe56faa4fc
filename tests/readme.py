"""Runs what the README shows: python tests/readme.py [keras | tf_keras]

It needs nothing but the package itself, so that it can be run where `pip install .` is
all that was installed.
"""

import importlib
import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "examples/guides/policies.md"]


def run(world: str, folder: str | os.PathLike[str]) -> int:
    """Run the pages' snippets one after another in a folder; return how many."""
    os.chdir(folder)
    keras = importlib.import_module(world)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
    names = {"keras": keras, "x": x, "y": y, "x_val": x, "y_val": y}
    names["model"] = _model(keras)
    text = "".join((ROOT / page).read_text("utf-8") for page in PAGES)
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    return len(snippets)


def _model(keras):
    layers = keras.layers
    encoder = keras.Sequential(
        [layers.Input((8,)), layers.Dense(8, name="inner")], name="encoder"
    )
    inputs = layers.Input((8,))
    hidden = layers.Reshape((2, 2, 2))(encoder(inputs))
    hidden = layers.Flatten()(layers.Conv2D(8, 1)(hidden))
    outputs = layers.Dense(3, activation="softmax", name="classifier")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    for name in sys.argv[1:] or ("keras", "tf_keras"):
        with tempfile.TemporaryDirectory() as scratch:
            print(f"{run(name, scratch)} snippets of the README run with {name}")
