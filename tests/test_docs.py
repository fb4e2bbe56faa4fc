"""What the documentation says is run."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
import readme

import keras_prune_kit as kpk

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


def test_readme_snippets_run(K, tmp_path, monkeypatch, no_collection):
    monkeypatch.chdir(tmp_path)
    assert readme.run(K.__name__, tmp_path) == 4
    assert (tmp_path / "out" / "model.tflite").exists()
