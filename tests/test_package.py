"""The package as a whole: its import, its public names, and who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import keras_prune_kit as kpk

PACKAGE = Path(kpk.__file__).parent

# A module imports from the layers above its own line, never from its own or below.
# `__init__` stands for the package itself.
LAYERS = (
    {"_tools", "data"},
    {"_keras", "criteria"},
    {"schedules", "structures"},
    {"reports"},
    {"policies"},
    {"layers", "pruner", "tflite"},
    {"clustering", "measuring"},
    {"callbacks", "tfmot"},
    {"quantization"},  # above the bridge, which it hands tf_keras models to
    {"compression"},
    {"registration", "tuning"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}

WITHOUT_KERAS = {
    *{"_tools", "criteria", "data", "policies", "reports", "schedules", "structures"},
}
WITH_TENSORFLOW = {"_keras", "quantization", "tflite", "tfmot"}
KERAS = {
    *{"checks", "criteria", "datasets", "digits", "files", "names", "pages", "plots"},
    *{"policies", "reports", "schedules", "structures"},
}
WITH_TENSORFLOW = {"_keras", "quantization", "tflite", "tfmot"}
KERAS = {"keras", "tf_keras", "keras_tuner"}
TFMOT = "tensorflow_model_optimization"


def module_of(path: Path) -> str:
    """`policies` for both `policies.py` and `policies/rule.py`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_of(path) for path in FILES}
each_file = pytest.mark.parametrize(
    "path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES]
)


def imported(path: Path, nodes: Iterator[ast.AST]) -> set[str]:
    """The absolute dotted names that the import statements among `nodes` ask for."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parent.parts)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *filter(None, [node.module])])
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


def everywhere(path: Path) -> set[str]:
    """What a file imports: at its top, in functions, or for type checking alone."""
    return imported(path, ast.walk(ast.parse(path.read_text("utf-8"))))


def on_import(path: Path) -> set[str]:
    """What is imported when the file itself is: nothing from inside a function."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child
                yield from walk(child)

    return imported(path, walk(ast.parse(path.read_text("utf-8"))))


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def own_modules(names: set[str]) -> set[str]:
    """The modules of this package among `names`; `__init__` for a name of its own."""
    found = set()
    for name in names:
        root, _, rest = name.partition(".")
        if root == PACKAGE.name:
            module = rest.partition(".")[0]
            found.add(module if module in MODULES else "__init__")
    return found


def test_importing_the_package_imports_nothing_heavy():
    heavy = ["tensorflow", "matplotlib", "plotly", TFMOT, *sorted(KERAS)]
    script = (
        "import sys, keras_prune_kit\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", kpk.__all__)
def test_a_public_name_resolves_and_is_listed(name):
    assert getattr(kpk, name) is not None
    assert name in dir(kpk)


def test_public_names_are_sorted_and_named_once():
    assert list(kpk.__all__) == sorted(set(kpk.__all__))


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = kpk.no_such_name


def test_version_is_the_installed_one():
    assert kpk.__version__ == version("keras-prune-kit")


@each_file
def test_imports_point_down(path):
    module = module_of(path)
    assert module in LAYER, (
        f"{module} is new: add it to LAYERS in tests/test_package.py, on the lowest "
        "line that is below everything it imports."
    )
    wrong = {
        other
        for other in own_modules(everywhere(path)) - {module}
        if LAYER.get(other, len(LAYERS)) >= LAYER[module]
    }
    assert not wrong, (
        f"{module} must not import {sorted(wrong)}: imports point down only. Move the "
        "code that both need to a lower module."
    )


@each_file
def test_keras_and_tensorflow_stay_where_they_are_known(path):
    module = module_of(path)
    found = roots(everywhere(path))
    if module not in WITH_TENSORFLOW:
        assert "tensorflow" not in found, f"{module} must go through _keras instead."
    if module in WITHOUT_KERAS:
        assert not found & KERAS, f"{module} must work without Keras."


@each_file
def test_tfmot_is_never_imported_with_a_module(path):
    # Its import sets TF_USE_LEGACY_KERAS, which turns the user's tf.keras into Keras 2.
    assert TFMOT not in roots(on_import(path)), "import it inside a function"
