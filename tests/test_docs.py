"""What the documentation says is run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import keras_prune_kit as kpk

README = Path(__file__).parent.parent / "README.md"
MODULES = [
    module.name
    for module in pkgutil.walk_packages(kpk.__path__, "keras_prune_kit.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    names = {"kpk": kpk, "np": np}
    result = doctest.testmod(module, extraglobs=names)
    assert result.failed == 0


@pytest.mark.parametrize("name", kpk.__all__)
def test_every_public_name_is_documented(name):
    text = getattr(kpk, name).__doc__
    assert text and len(text.strip()) > 20


def test_readme_snippets_run(K, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
    encoder = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(8, name="inner")], name="encoder"
    )
    inputs = K.layers.Input((8,))
    hidden = K.layers.Reshape((2, 2, 2))(encoder(inputs))
    hidden = K.layers.Flatten()(K.layers.Conv2D(8, 1)(hidden))
    outputs = K.layers.Dense(3, activation="softmax", name="classifier")(hidden)
    model = K.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    names = {"keras": K, "model": model, "x": x, "y": y, "x_val": x, "y_val": y}
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert (tmp_path / "out" / "model.tflite").exists()
