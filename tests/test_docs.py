"""What the documentation says is run."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import readme

import keras_prune_kit as kpk

MODULES = [
    module.name
    for module in pkgutil.walk_packages(kpk.__path__, "keras_prune_kit.")
    if not module.name.endswith("__main__")
]


def test_docstring_examples():
    names, failed, run = {"kpk": kpk, "np": np}, [], 0
    for name in MODULES:
        module = importlib.import_module(name)
        result = doctest.testmod(module, extraglobs=names)
        failed += [name] * result.failed
        run += result.attempted
    assert not failed and run > 50


def test_every_public_name_is_documented():
    texts = {name: getattr(kpk, name).__doc__ or "" for name in kpk.__all__}
    assert [name for name, text in texts.items() if len(text.strip()) <= 20] == []


def test_docstrings_say_what_the_thing_does_or_is():
    """PEP 257: not a question, which a reader has to turn round first."""
    questions = re.compile(r"(What|Whether|How|Where|Which|Who|When|Why)\b")
    found = []
    for path in Path(kpk.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if questions.match(text):
                    found.append(f"{path.name}: {text.splitlines()[0]}")
    assert found == []


@pytest.mark.slow  # The gate runs them on the base install.
def test_readme_snippets_run(K, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert readme.run(K.__name__, tmp_path) == 3
    assert (tmp_path / "out" / "model.tflite").exists()
