"""The reference: all that is public is listed and documented, and its examples run."""

import inspect
import re
from typing import Protocol

import docstring_examples
import pytest

import keras_prune_kit as kpk

PUBLIC = docstring_examples.public()
# `CompressionReport` has the quicker example of `compress`; the one of JAX runs in
# tests/backends/test_backend_loops.py.
MARKS = {
    "compress": [pytest.mark.slow],
    "Pruner.stateless_step": [pytest.mark.skip("a loop in JAX")],
}
EXAMPLES = [
    pytest.param(path, code, marks=MARKS.get(path, ()), id=path)
    for path, code in docstring_examples.examples()
]


def methods():
    """The methods and properties of public classes that this package defines."""
    for name, item in PUBLIC.items():
        for method in dir(item) if inspect.isclass(item) else ():
            owners = [base for base in item.__mro__ if method in vars(base)]
            if all(base.__module__.startswith("keras_prune_kit") for base in owners):
                if method == "__init__" or not method.startswith("_"):
                    member = vars(owners[0])[method]
                    yield (
                        f"{name}.{method}",
                        getattr(member, "__func__", member),
                        owners,
                    )


def texts(item, owners):
    """The docstrings of a method: its own and of those that it overrides."""
    name = item.rpartition(".")[2]
    return [inspect.getdoc(vars(base)[name]) or "" for base in owners]


def undocumented(function, text):
    """The parameters that have no line in a docstring."""
    lines = re.findall(r"^ +\*{0,2}(\w+): ", text, re.MULTILINE)
    return set(inspect.signature(function).parameters) - {"self", "cls", *lines}


def first_line(item):
    return " ".join((inspect.getdoc(item) or "").partition("\n\n")[0].split())


@pytest.mark.parametrize("module", [kpk, kpk.tfmot], ids=["kpk", "kpk.tfmot"])
def test_help_lists_each_public_name_once_with_its_first_line(module):
    """If not, mend the docstring of the module; its groups are the reference's."""
    entries = re.findall(r"^- `(\w+)`: (.*(?:\n  .*)*)", module.__doc__, re.MULTILINE)
    assert sorted((name, " ".join(text.split())) for name, text in entries) == [
        (name, first_line(getattr(module, name))) for name in module.__all__
    ]


def test_every_public_method_is_documented():
    found = [
        path
        for path, member, owners in methods()
        if inspect.isfunction(member) or isinstance(member, property)
        if not any(texts(path, owners))
    ]
    assert found == []


def test_every_parameter_is_documented():
    found = {
        name: undocumented(item, inspect.getdoc(item))
        for name, item in PUBLIC.items()
        if inspect.isfunction(item)
    }
    for path, member, owners in methods():
        if inspect.isfunction(member):
            text = "\n".join(texts(path, owners))
            found[path] = undocumented(member, text)
    for name, item in PUBLIC.items():
        if inspect.isclass(item) and not issubclass(item, Exception | Protocol):
            found[name] = undocumented(item, inspect.getdoc(item))
    assert {name: missing for name, missing in found.items() if missing} == {}


@pytest.mark.parametrize(("path", "code"), EXAMPLES)
def test_examples_run(path, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docstring_examples.run(path, code)
