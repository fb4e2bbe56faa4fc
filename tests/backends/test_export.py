"""Models of JAX and torch: export and compression in a child under TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from contract import BACKEND

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]

pytestmark = pytest.mark.skipif(
    BACKEND == "tensorflow", reason="exports need no child process there"
)

# A script whose job never ends by itself.
ENDLESS = """
import time
import keras, numpy as np
import keras_prune_kit as kpk
from keras_prune_kit.worker.client import client
from other_backends import parts

x = np.zeros((4, 2), "float32")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
model.compile("adam", "mse", metrics=["mae"])
kpk.export_tflite(model)
print(client.child.process.pid, flush=True)
callbacks = [parts.Shell(print, "asleep"), parts.Shell(time.sleep, 600)]
data = {"validation_data": (x, x), "callbacks": callbacks, "verbose": 0}
kpk.compress(model, (x, x), quantization="none", **data)
"""


def started(command):
    """Start a process with the backend, in which nothing imports TensorFlow."""
    path = os.pathsep.join([str(REPOSITORY), str(FOLDER)])
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def checked(*names, options=()):
    """Run files of checks in one process with the backend."""
    paths = [str(FOLDER / "other_backends" / f"{name}.py") for name in names]
    # The conftest imports TensorFlow.
    settings = ["--noconftest", "-n", "0", "-q", "-p", "no:cacheprovider"]
    with started(["-m", "pytest", *settings, *options, *paths]) as process:
        output = "".join(process.communicate())
    assert process.returncode == 0, output


def is_running(pid):
    """Return False for a process that is gone, or dead and not yet waited for."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def test_models_are_exported_and_compressed():
    if BACKEND == "torch":
        checked("jobs", "faults")
    else:  # What the backends share need not be checked twice.
        checked("jobs", options=["-k", "stays_warm or compress_gives"])


@pytest.mark.slow
def test_all_checks_pass():
    checked("jobs", "faults", options=["-m", "slow or not slow"])


@pytest.mark.slow
def test_a_search_has_one_child():
    checked("searching")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_a_child_amid_a_job_ends_with_its_parent():
    with started(["-c", ENDLESS]) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "asleep\n"
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(pid)


@pytest.mark.slow
def test_the_command_line_works_in_a_shell_with_another_backend(tmp_path):
    """A file of torch names optimizers that only torch has."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype("float32")
    np.savez(tmp_path / "data.npz", x=x, y=(x[:, 0] > 0).astype("int64"))
    model, data, out = (str(tmp_path / name) for name in ("m.keras", "data.npz", "out"))
    script = f"""
import keras
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.save({model!r})
"""
    with started(["-c", script]) as process:
        process.communicate()
    words = ["compress", model, "--train", data, "--out", out, "--epochs", "1"]
    with started(["-m", "keras_prune_kit", *words, "--json"]) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert json.loads(output)["stages"][-1]["file"] == ".tflite"
    assert (Path(out) / "model.tflite").stat().st_size > 0
