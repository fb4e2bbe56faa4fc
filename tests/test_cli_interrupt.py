"""Ctrl-C leaves a whole file or none, and says so in one line."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import models
import numpy as np
import pytest

from keras_prune_kit._tools.progress import track
from keras_prune_kit.cli import main
from keras_prune_kit.tflite.convert import Conversion
from keras_prune_kit.tflite.model import TFLiteModel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")

# Data that say when a job has come to its second batch.
SLOW_DATA = """\
import atexit
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

def batches():
    for index in range({count}):
        if index > 1:
            Path("under_way").touch()
        time.sleep(0.05)
        yield np.zeros((4, 8), "float32"), np.zeros(4, "int64")

# Threads that read data are still there; the interpreter is not to go before them.
atexit.register(Path("taken_apart").touch)

def load():
    kinds = tf.TensorSpec((4, 8), "float32"), tf.TensorSpec((4,), "int64")
    return tf.data.Dataset.from_generator(batches, output_signature=kinds)
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(K):
    x = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
    np.savez("data.npz", x=x, y=np.arange(200) % 3)
    models.sequential(K).save("model.keras")
    return sorted(os.listdir("."))


def interrupt(*words):
    """Runs a command, presses Ctrl-C when its data are read, waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_prune_kit", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    while not Path("under_way").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    Path("under_way").unlink()
    return process.returncode, out, error


def write_slow_data(count):
    Path("slow_data.py").write_text(SLOW_DATA.format(count=count))


def left():
    skip = {"slow_data.py", "__pycache__"}
    return sorted(set(os.listdir(".")) - skip)


@pytest.mark.quick_in("keras")
def test_ctrl_c_in_mid_training(files):
    write_slow_data(count=1000)
    data = ["--train", "slow_data:load", "--validation", "data.npz"]
    words = ["--quantize", "none", "--out", "out"]
    code, out, error = interrupt("compress", "model.keras", *data, *words)
    assert code == 130
    assert not out
    assert error.splitlines()[-1] == "interrupted"
    assert "Traceback" not in error
    assert left() == files


@pytest.mark.slow
@pytest.mark.quick_in("keras")
def test_ctrl_c_in_mid_export(files):
    write_slow_data(count=50)
    words = ["--quantize", "int8", "--out", "model.tflite"]
    code, out, error = interrupt(
        "export", "model.keras", "--representative", "slow_data:load", *words
    )
    assert (code, out, error) == (130, "", "interrupted\n")
    assert left() == files


def press(*_, **__):
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_within_the_converter(files, monkeypatch, capsys):
    """Which asks for a sample from the midst of native code."""
    monkeypatch.setattr(Conversion, "_feed", press)
    words = ["--quantize", "int8", "--representative", "data.npz"]
    assert main(["export", "model.keras", *words, "--out", "model.tflite"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
    assert left() == files


@pytest.mark.each_value
@pytest.mark.parametrize("existing", [False, True])
def test_ctrl_c_while_files_are_written(files, monkeypatch, capsys, existing):
    """After the first of them."""
    if existing:
        Path("out").mkdir()
        Path("out/report.txt").write_text("mine")
    monkeypatch.setattr(TFLiteModel, "save", press)
    words = ["--train", "data.npz", "--epochs", "1", "--quantize", "none"]
    words += ["--out", "out", "--overwrite"]
    assert main(["compress", "model.keras", *words]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
    if existing:
        assert os.listdir("out") == ["report.txt"]
        assert Path("out/report.txt").read_text() == "mine"
    else:
        assert left() == files


def test_ctrl_c_that_comes_out_as_another_error(files, monkeypatch, capsys):
    inspect = importlib.import_module("keras_prune_kit.cli.inspect")

    def swallow(_):
        try:
            press()
        except KeyboardInterrupt as error:
            raise RuntimeError("some native error") from error

    monkeypatch.setattr(inspect, "run", swallow)
    assert main(["inspect", "model.keras"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_ctrl_c_that_goes_unheard_ends_the_job_at_its_next_step(
    files, monkeypatch, capsys
):
    inspect = importlib.import_module("keras_prune_kit.cli.inspect")
    done = []

    def swallow(_):
        for index in track(range(5), "working"):
            done.append(index)
            if index == 2:
                with contextlib.suppress(KeyboardInterrupt):
                    press()

    monkeypatch.setattr(inspect, "run", swallow)
    assert main(["inspect", "model.keras"]) == 130
    assert done == [0, 1, 2]
    assert capsys.readouterr() == ("", "interrupted\n")


def test_the_handler_of_ctrl_c_is_put_back(files):
    before = signal.getsignal(signal.SIGINT)
    assert main(["inspect", "model.keras"]) == 0
    assert signal.getsignal(signal.SIGINT) is before
