"""The reference: all that is public is documented, and examples run."""

import inspect
import re
import textwrap

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk

OURS = "keras_prune_kit"


def public():
    """All public names, those of the bridge as `tfmot.wrap`, and what they stand for."""
    found = {name: getattr(kpk, name) for name in kpk.__all__}
    bridge = found.pop("tfmot")
    return found | {f"tfmot.{name}": getattr(bridge, name) for name in bridge.__all__}


PUBLIC = public()


def is_ours(item):
    return (getattr(item, "__module__", None) or "").startswith(OURS)


def functions_of(item):
    """The functions of a public class that are its own, its constructor included."""
    for name, _ in inspect.getmembers(item):
        owner = next((base for base in item.__mro__ if name in vars(base)), None)
        if owner is None or not is_ours(owner):
            continue
        member = vars(owner)[name]
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        if name == "__init__" or not name.startswith("_"):
            yield name, member, owner


def is_known_elsewhere(name, item):
    """True of a method that Keras, KerasTuner or Python defines, such as a hook."""
    return any(name in vars(base) and not is_ours(base) for base in item.__mro__)


def inherited_text(name, item):
    """The docstring of a method, its own or that of the method which it overrides."""
    texts = [inspect.getdoc(vars(b)[name]) for b in item.__mro__ if name in vars(b)]
    return next(filter(None, texts), "")


def undocumented(function, text):
    names = list(inspect.signature(function).parameters)
    return [n for n in names if n != "self" and not re.search(rf"\b{n}\b", text)]


def first_paragraph(item):
    return " ".join((inspect.getdoc(item) or "").partition("\n\n")[0].split())


def test_help_lists_each_public_name_once_with_its_first_line():
    entries = re.findall(r"^- `(\w+)`: (.*(?:\n  .*)*)", kpk.__doc__, re.MULTILINE)
    listed = [(name, " ".join(text.split())) for name, text in entries]
    expected = [(name, first_paragraph(getattr(kpk, name))) for name in kpk.__all__]
    assert sorted(listed) == expected


def test_every_public_method_is_documented():
    found = [
        f"{name}.{method}"
        for name, item in PUBLIC.items()
        if inspect.isclass(item)
        for method, member, _ in functions_of(item)
        if (inspect.isfunction(member) or isinstance(member, property))
        and not inherited_text(method, item)
        and method != "__init__"
    ]
    print(found); assert found == []


def test_every_parameter_is_documented():
    found = []
    for name, item in PUBLIC.items():
        if inspect.isfunction(item):
            missing = undocumented(item, inspect.getdoc(item))
            if missing: found.append((name, missing))
            continue
        for method, member, owner in functions_of(item):
            if not inspect.isfunction(member):
                continue
            text = inspect.getdoc(item if method=="__init__" else member) or ""
            if method != "__init__" and is_known_elsewhere(method, item): continue
            missing = undocumented(member, text)
            if missing:
                found.append((f"{name}.{method}",missing))
    for f in found: print(f)
    assert found == []
