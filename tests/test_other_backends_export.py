"""Models of JAX and torch: export and compression in a child under TensorFlow."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
        ),
    )
    for name in ("torch", "jax")
]


def environment(backend):
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
    }


def checked(name, backend, *options):
    """Run a file of checks under a backend, where no conftest imports TensorFlow."""
    path = TESTS / "other_backends" / f"{name}.py"
    command = [sys.executable, "-m", "pytest", "--noconftest", "-n", "0", "-q", "-x"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, str(path)],
        env=environment(backend),
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_models_of_other_backends_are_exported_and_compressed(backend):
    checked("jobs", backend)


@pytest.mark.parametrize("backend", BACKENDS[:1])
def test_what_goes_wrong_in_the_child_is_told_as_without_one(backend):
    checked("faults", backend)
