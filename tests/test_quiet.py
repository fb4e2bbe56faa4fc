"""What reaches the terminal: nothing but what a user can act on."""

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
import threading

import keras
import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.chatter import without_chatter, without_tracing_advice
from keras_prune_kit._tools.progress_lines import ProgressLines
from keras_prune_kit.compression.tried import tell_attempt

CHATTER = [
    "I0000 00:00:1796017115.568258   23822 reader.cc:83] Reading SavedModel from: /tmp",
    "W0000 00:00:1796017115.567848   23822 helpers.cc:364] Ignored output_format.",
    "2026-11-30 05:36:40.123456: I tensorflow/core/util/port.cc:153] oneDNN is on",
    "WARNING: All log messages before absl::InitializeLog() is called are written",
    "fully_quantize: 0, inference_type: 6, input_inference_type: FLOAT32",
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
]
TOLD = [
    "E0000 00:00:1796017115.567848   23822 helpers.cc:364] There is no space left.",
    "F0000 00:00:1796017115.567848   23822 check.cc:364] Check failed: size > 0",
    "error: 'tf.Foo' op is neither a custom op nor a flex op",
    "a line of another thread",
]

# The descriptors are led away after the training, which is the user's own.
COMPRESS = """\
import os, sys
import keras, numpy as np
import keras_prune_kit as kpk

layers = [keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
model = keras.Sequential(layers)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
x = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
data = x, np.arange(200) % 3
model.fit(*data, verbose=0)
printed = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.dup2(printed, 1)
os.dup2(printed, 2)
report = kpk.compress(model, data, validation_data=data, epochs=1, verbose=0)
kpk.export_tflite(model, quantization="dynamic").predict(x)
assert report.sparsity_report.sparsity > 0.7
"""


def native(*lines):
    os.write(2, "".join(f"{line}\n" for line in lines).encode())


def test_a_job_with_verbose_0_prints_nothing(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", COMPRESS, str(tmp_path / "printed")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "printed").read_text() == ""


def test_chatter_is_dropped_and_all_else_follows(capfd):
    with without_chatter():
        native(*CHATTER, *TOLD)
        assert capfd.readouterr().err == ""
    native("after")
    assert capfd.readouterr().err.splitlines() == [*TOLD, "after"]


def test_an_error_leads_stderr_back(capfd):
    with pytest.raises(ValueError, match="no"), without_chatter():
        native(CHATTER[0], TOLD[0])
        raise ValueError("no")
    native("after")
    assert capfd.readouterr().err.splitlines() == [TOLD[0], "after"]


def test_the_last_of_several_threads_leads_stderr_back(capfd):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with without_chatter():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with without_chatter():
        thread.start()
        assert inside.wait(10)
    native(CHATTER[0], "late")
    assert capfd.readouterr().err == ""
    leave.set()
    thread.join()
    assert capfd.readouterr().err.splitlines() == ["late"]


def test_all_logs_come_to_those_who_ask_for_them(capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with without_chatter():
        native(CHATTER[0])
        assert capfd.readouterr().err.splitlines() == [CHATTER[0]]


@pytest.mark.parametrize("stderr", [None, io.StringIO()])
def test_a_stderr_without_descriptor_does(stderr, capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    with without_chatter():
        native(*CHATTER, TOLD[0])
    assert capfd.readouterr().err.splitlines() == [TOLD[0]]


def test_a_line_for_each_outermost_stage():
    lines = []
    with progress.listening(ProgressLines(lines.append).stage):
        with progress.stage("pruning", 2) as stage:
            stage.advance()
            list(progress.track("ab", "evaluating"))
            stage.rename("pruning, epoch 2/2")
        list(progress.track("ab", "converting"))
        with contextlib.suppress(ValueError), progress.stage("measuring"):
            raise ValueError("not done")
    form = r" +\d+\.\d s  {} \(\d+\.\d s\)"
    assert len(lines) == 2
    assert re.fullmatch(form.format("pruning, epoch 2/2"), lines[0])
    assert re.fullmatch(form.format("converting"), lines[1])


def test_a_line_for_what_the_job_tells():
    lines = []
    heard = ProgressLines(lines.append)
    with progress.listening(heard.stage, heard.tell):
        tell_attempt(1, [4, 2, 2], 10)
        tell_attempt(0, [0, 0], 0)
    progress.tell("to nobody")
    assert [line.partition(" s  ")[2] for line in lines] == [
        "attempt 2 of at most 3: 2 epochs, then 2 of 10 are left",
        "attempt 1 of at most 2",
    ]


def test_a_search_tells_what_is_left_of_it(capsys):
    model = models.classifier(keras)
    data = np.random.default_rng(0).normal(size=(60, 8)).astype("f4"), np.arange(60) % 3
    report = kpk.compress(
        *(model, data),
        **{"validation_data": data, "target": "smallest", "quantization": "int8"},
        **{"epochs": 6, "verbose": 2},
    )
    told = re.findall(r"^ *[\d.]+ s  (attempt .+)$", capsys.readouterr().out, re.M)
    trained = [each.epochs for each in report.search.attempts if each.epochs]
    assert told == [
        f"attempt {n + 1} of at most 3: {epochs} epochs, then {left} of 6 are left"
        for n, (epochs, left) in enumerate(zip(trained, (4, 2, 0), strict=True))
    ]


@pytest.mark.parametrize("verbose", [0, 2])
def test_compress_tells_where_the_time_goes(K, verbose, capsys):
    model = models.classifier(K)
    data = np.random.default_rng(0).normal(size=(60, 8)).astype("f4"), np.arange(60) % 3
    kpk.compress(model, data, validation_data=data, epochs=2, verbose=verbose)
    out = capsys.readouterr().out
    stages = re.findall(r"^ *[\d.]+ s  (.+) \([\d.]+ s\)$", out, re.MULTILINE)
    wanted = ["converting", "pruning, epoch 2/2", "converting", "measuring"]
    assert [stage for stage in stages if stage in wanted] == (wanted if verbose else [])
    assert bool(out) == bool(verbose)


def test_only_the_advice_on_tracing_is_left_out(caplog):
    logger = logging.getLogger("tensorflow")
    with without_tracing_advice():
        logger.warning("5 out of the last 11 calls triggered tf.function retracing.")
        logger.warning("Another matter")
    logger.warning("9 out of the last 11 calls triggered tf.function retracing.")
    assert [record.getMessage()[:9] for record in caplog.records] == [
        "Another m",
        "9 out of ",
    ]
