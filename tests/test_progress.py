"""How far a job is: what the library says, and what the terminal shows."""

import contextlib
import io

import models
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

import keras_prune_kit as kpk
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools import progress
from keras_prune_kit.cli.interrupt import Interrupt
from keras_prune_kit.cli.progress_bars import Bars


class Recorder:
    """A listener that remembers: `[name, total, steps, whether it is over]`."""

    def __init__(self):
        self.stages = []

    @contextlib.contextmanager
    def __call__(self, name, total):
        self.stages.append([name, total, 0, False])
        self._current = self.stages[-1]
        stage = self._current
        yield self
        stage[3] = True

    def advance(self):
        self._current[2] += 1

    def rename(self, name):
        self._current[0] = name


@pytest.fixture
def heard():
    recorder = Recorder()
    with progress.listening(recorder):
        yield recorder.stages


def test_nobody_needs_to_listen():
    with progress.stage("work") as stage:
        stage.advance()
        stage.rename("more work")
    assert list(progress.track("abc", "work")) == ["a", "b", "c"]


def test_a_listener_hears_until_it_leaves():
    recorder = Recorder()
    with progress.listening(recorder):
        assert list(progress.track("abc", "work")) == ["a", "b", "c"]
    list(progress.track("abc", "unheard"))
    assert recorder.stages == [["work", 3, 3, True]]


def test_exporting_and_running_a_file_are_heard(K, heard):
    x = np.zeros((130, 8), "float32")
    model = models.sequential(K)
    exported = kpk.export_tflite(model, quantization="int8", representative_data=x)
    calibrating = [stage for stage in heard if stage[0] == "calibrating"]
    assert calibrating and all(stage[1:] == [130, 130, True] for stage in calibrating)
    assert ["converting", None, 0, True] in heard
    exported.predict(x)
    assert heard[-1] == ["running the .tflite", 3, 3, True]


def test_training_is_heard_batch_by_batch(mlp, data, heard):
    mlp().fit(*data, epochs=3, verbose=0, callbacks=[StageProgress("training")])
    assert heard == [["training, epoch 3/3", 12, 12, True]]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_training_of_unknown_length_is_heard_epoch_by_epoch(mlp, data, heard):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(32)
    endless = batches.filter(lambda x, y: True)
    callback = StageProgress("training")
    mlp().fit(endless, epochs=2, verbose=0, shuffle=False, callbacks=[callback])
    assert heard == [["training, epoch 2/2", 2, 2, True]]


def shown(*, silent=False, terminal=True):
    """What two stages look like on a terminal of 80 columns."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=terminal)
    with (
        Bars(console, Interrupt(), silent=silent) as bars,
        progress.listening(bars.stage),
    ):
        with progress.stage("converting"):
            pass
        for index in progress.track(range(4), "pruning, epoch 1000/1000"):
            if index == 2:
                bars._progress.refresh()
    return out.getvalue()


def test_bars_show_names_and_the_time_left():
    text = shown()
    assert "pruning, epoch 1000/1000" in text
    assert "50 %" in text
    assert "left" in text


@pytest.mark.parametrize("arguments", [{"silent": True}, {"terminal": False}])
def test_bars_are_for_terminals_alone(arguments):
    assert not shown(**arguments).strip()
