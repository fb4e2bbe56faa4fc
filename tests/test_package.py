"""The package as a whole: its import, its public names, and who may import whom."""

import ast
import graphlib
import operator
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import keras_prune_kit as kpk
from keras_prune_kit._tools.missing_names import INSTEAD_OF_TFMOT

PACKAGE = Path(kpk.__file__).parent

# A module imports from the layers above its own line, never from its own or below.
# `__init__` stands for the package itself.
LAYERS = (
    {"_tools", "digits"},
    {"_keras", "criteria"},
    {"copying", "schedules", "structures", "worker"},
    {"reports"},
    {"layer_inputs"},
    {"channels"},
    {"policies"},
    {"layers", "pruner", "tflite"},
    {"clustering", "measuring"},
    {"callbacks", "tfmot"},
    {"reconstruction"},
    {"quantization"},  # above the bridge, which it hands tf_keras models to
    {"compression"},
    {"registration", "tuning"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}

WITHOUT_KERAS = {
    *{"_tools", "criteria", "digits", "policies", "reports", "schedules", "structures"},
}
WITH_TENSORFLOW = {"_keras", "quantization", "tflite", "tfmot"}
KERAS = {"keras", "tf_keras", "keras_tuner"}
PRIVATE_OF_KERAS = {
    *{"_compile_config", "_flatten_layers", "_functional", "_inbound_nodes"},
    *{"_is_graph_network", "_keras_history", "_nodes_by_depth"},
}
TFMOT = "tensorflow_model_optimization"


def module_of(path: Path) -> str:
    """`policies` for both `policies.py` and `policies/rule.py`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_of(path) for path in FILES}


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


def looked_up(path: Path) -> set[str]:
    """The modules that a file takes from `sys.modules`."""
    return {
        ast.literal_eval(node.slice)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "sys.modules"
        and isinstance(node.slice, ast.Constant)
    }


def dotted(path: Path) -> str:
    """`keras_prune_kit.policies.rule` for the file of that module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    """Nor do the rooms of the nouns, which are numpy and the standard library."""
    heavy = ["tensorflow", "matplotlib", "jinja2", TFMOT, *sorted(KERAS)]
    script = f"""
import sys, keras_prune_kit
from keras_prune_kit import _keras, criteria, policies, reports, schedules, structures
print([name for name in {heavy!r} if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def test_public_names_resolve_and_are_listed_sorted_and_once():
    assert all(getattr(kpk, name) is not None for name in kpk.__all__)
    assert set(kpk.__all__) <= set(dir(kpk))
    assert list(kpk.__all__) == sorted(set(kpk.__all__))


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError) as caught:
        _ = kpk.no_such_name
    assert str(caught.value) == "keras_prune_kit has no name 'no_such_name'."
    assert not hasattr(kpk, "no_such_name")


@pytest.mark.parametrize(
    ("module", "name", "advice"),
    [
        (kpk, "PruneCallback", "Did you mean 'PruningCallback'?"),
        (kpk, "export_tf_lite", "Did you mean 'export_tflite'?"),
        (kpk, "strip_pruning", "TFMOT has it; here it is nothing: there is no wrapper"),
        (kpk, "quantize_apply", "here it is kpk.quantize_aware(model)"),
        (kpk, "PruneLowMagnitude", "here it is kpk.PruningCallback(policy) in fit"),
        (kpk.tfmot, "warp", "Did you mean 'wrap'?"),
        (kpk.tfmot, "prune_low_magnitude", "kpk.tfmot.wrap keeps TFMOT's wrappers"),
    ],
)
def test_a_mistyped_name_and_one_of_tfmot_get_advice(module, name, advice):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert f"{module.__name__} has no name '{name}'. " in str(caught.value)
    assert advice in str(caught.value)


def test_the_advice_for_names_of_tfmot_names_what_there_is():
    advice = " ".join(INSTEAD_OF_TFMOT.values())
    named = set(re.findall(r"kpk\.([\w.]*\w)", advice))
    assert {"PruningCallback", "tfmot.wrap"} <= named
    for name in named:
        assert operator.attrgetter(name)(kpk) is not None
    assert not set(INSTEAD_OF_TFMOT) & {*kpk.__all__, *kpk.tfmot.__all__}


def test_the_guide_and_the_advice_have_the_same_names_of_tfmot():
    """What the guide says about a name is what who tries the name here is told."""
    guide = PACKAGE.parent / "examples/guides/08_from_tfmot.py"
    names = set(re.findall(r"^# \| `(\w+)\(", guide.read_text("utf-8"), re.M))
    assert {"prune_low_magnitude", "UpdatePruningStep"} <= names
    assert names <= {*INSTEAD_OF_TFMOT, *kpk.__all__}


def test_version_is_the_installed_one():
    assert kpk.__version__ == version("keras-prune-kit")


def test_every_room_has_a_layer():
    assert set(LAYER) - {"__init__"} == MODULES - {"__init__"}, (
        "A new room goes to LAYERS in tests/test_package.py, on the lowest line that "
        "is above everything it imports; one that is gone leaves."
    )


def test_imports_point_down():
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in FILES
        for other in own_modules(everywhere(path)) - {module_of(path)}
        if LAYER[other] >= LAYER[module_of(path)]
    }
    assert not wrong, "Move the code that both need to a lower room."


def test_files_do_not_import_each_other_in_a_circle():
    """Explicit imports, in functions too; a package's `__init__` may list its files."""
    graph = {path: set() for path in FILES}
    names = {dotted(path): path for path in FILES}
    for path in FILES:
        for name in everywhere(path):
            found = names.get(name) or names.get(name.rpartition(".")[0])
            if found is not None and found != path and found.name != "__init__.py":
                graph[path].add(found)
    order = graphlib.TopologicalSorter(graph)
    order.prepare()  # A CycleError names the files.


def test_keras_and_tensorflow_stay_where_they_are_known():
    wrong = set()
    for path in FILES:
        module, found = module_of(path), roots(everywhere(path) | looked_up(path))
        if module not in WITH_TENSORFLOW and "tensorflow" in found:
            wrong.add(f"{path.relative_to(PACKAGE)} must go through _keras instead")
        if module in WITHOUT_KERAS and found & KERAS:
            wrong.add(f"{path.relative_to(PACKAGE)} must work without Keras")
    assert not wrong


def test_private_parts_of_keras_are_known_behind_the_seam_alone():
    wrong = {
        f"{path.relative_to(PACKAGE)}:{node.lineno} uses {node.attr}"
        for path in FILES
        if module_of(path) not in ("_keras", "tfmot")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE_OF_KERAS
    }
    assert not wrong, "Put a function into _keras that says what it is for."


def test_tfmot_is_never_imported_with_a_module():
    # Its import sets TF_USE_LEGACY_KERAS, which turns the user's tf.keras into Keras 2.
    wrong = {path.name for path in FILES if TFMOT in roots(on_import(path))}
    assert not wrong, "import it inside a function"
