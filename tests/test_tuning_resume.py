"""A search that is cut off goes on; no finished trial is lost."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import keras_tuner
import models
import numpy as np
import pytest
from marks import slow

import keras_prune_kit as kpk
from keras_prune_kit.tuning import durable_oracle, hyper_model
from keras_prune_kit.tuning import tuner as tuner_module

EXAMPLE = Path(__file__).parents[1] / "examples" / "keras_tuner_workers.py"


class Killed(BaseException):
    """As far as KerasTuner can tell: it catches nothing but `Exception`."""


class KillInTraining(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise Killed


def kill_after_writing(monkeypatch):
    def write(*arguments, write=hyper_model.write):
        write(*arguments)
        raise Killed

    monkeypatch.setattr(hyper_model, "write", write)


@pytest.fixture
def baseline(data):
    model = models.sequential(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(*data, epochs=3, verbose=0)
    return model


@pytest.fixture
def open_search(baseline, tmp_path):
    """The tuner as a process would make it when it starts."""

    def open_(kind, max_trials=2):
        hypermodel = kpk.CompressionHyperModel(baseline, quantization=["dynamic"])
        if kind is kpk.CompressionTuner:
            oracle = keras_tuner.oracles.RandomSearchOracle(
                max_trials=max_trials, seed=1
            )
            return kind(oracle=oracle, hypermodel=hypermodel, directory=tmp_path)
        return kind(hypermodel, max_trials=max_trials, seed=1, directory=tmp_path)

    return open_


def search(tuner, data, **arguments):
    tuner.search(*data, validation_data=data, epochs=1, verbose=0, **arguments)


def records(tuner):
    return {
        path.parent.name: path.read_bytes()
        for path in Path(tuner.project_dir).glob("trial_*/compression.json")
    }


# What is written, and when, is cut in all places below.
@pytest.mark.parametrize("moment", ["training", slow("after writing")])
def test_a_search_that_is_killed_goes_on(open_search, data, moment, monkeypatch):
    kind = kpk.CompressionTuner if moment == "training" else keras_tuner.RandomSearch
    search(open_search(kind, max_trials=1), data)
    finished = records(open_search(kind))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if moment == "training":
            search(open_search(kind), data, callbacks=[KillInTraining()])
        else:
            kill_after_writing(patch)
            search(open_search(kind), data)
    cut = open_search(kind)
    assert len(kpk.pareto_front(cut).trials) == 1
    search(cut, data)
    assert [trial.status for trial in cut.oracle.trials.values()] == ["COMPLETED"] * 2
    assert len(kpk.pareto_front(cut).trials) == 2
    after = records(cut)
    assert all(after[name] == record for name, record in finished.items())
    for trial in cut.oracle.trials.values():
        folder = Path(cut.get_trial_dir(trial.trial_id))
        saved = keras.models.load_model(folder / "model.keras", compile=False)
        weights = cut.load_model(trial).get_weights()
        assert all(map(np.array_equal, weights, saved.get_weights()))


def kill_at_write(patch, number, moment):
    """Dies before or after the file of this number is there."""
    numbers = itertools.count()

    def write(*arguments, write=durable_oracle.write_json):
        is_last = next(numbers) == number
        if not (is_last and moment == "before"):
            write(*arguments)
        if is_last:
            raise Killed

    for module in (durable_oracle, tuner_module):
        patch.setattr(module, "write_json", write)


@pytest.mark.each_value
@pytest.mark.parametrize(
    "kind", ["RandomSearch", slow("GridSearch"), slow("Hyperband")]
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_no_file_is_a_bad_one_to_be_killed_at(
    baseline, data, tmp_path, kind, moment, monkeypatch
):
    monkeypatch.setattr(
        kpk.CompressionHyperModel, "fit", lambda *_, **__: {"default_objective": 1.0}
    )
    hypermodel = kpk.CompressionHyperModel(baseline, quantization=["dynamic"])

    options = {"max_epochs": 3} if kind == "Hyperband" else {"max_trials": 3}

    def open_(number):
        return kpk.CompressionTuner(
            oracle=getattr(keras_tuner.oracles, f"{kind}Oracle")(**options, seed=1),
            hypermodel=hypermodel,
            directory=tmp_path,
            project_name=str(number),
        )

    whole = open_("whole")
    search(whole, data)
    for number in itertools.count():
        with monkeypatch.context() as patch:
            kill_at_write(patch, number, moment)
            try:
                search(open_(number), data)
            except Killed:
                pass
            else:
                break
        tuner = open_(number)
        ended = list(tuner.oracle.end_order)
        search(tuner, data)
        states = {name: trial.status for name, trial in tuner.oracle.trials.items()}
        assert states == dict.fromkeys(whole.oracle.trials, "COMPLETED")
        assert tuner.oracle.end_order == whole.oracle.end_order
        assert tuner.oracle.end_order[: len(ended)] == ended
    assert number > 6


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing to wait for: {process.poll()}")


def trial_under_way(out, worker):
    try:
        state = json.loads((out / "search" / "oracle.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or half of it
        return None
    return state["ongoing_trials"].get(worker)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_worker_that_is_killed_in_mid_trial(tmp_path):
    """A chief and two workers on this machine."""
    words = [sys.executable, str(EXAMPLE), "--trials", "3", "--out", str(tmp_path)]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, text=True)
    try:
        cut = wait_for(lambda: trial_under_way(tmp_path, "worker1"), process)
        lines = (tmp_path / "log").read_text().splitlines()
        pids = [line.split()[-1] for line in lines if line.startswith("worker1 is")]
        os.kill(int(pids[0]), signal.SIGKILL)
        assert process.wait(200) == 0, (tmp_path / "log").read_text()[-3000:]
    finally:
        process.terminate()
    log = (tmp_path / "log").read_text()
    assert log.count("worker1 is process") == 2
    trials = sorted((tmp_path / "search").glob("trial_*/trial.json"))
    states = {p.parent.name: json.loads(p.read_text())["status"] for p in trials}
    assert states == {f"trial_{number}": "COMPLETED" for number in range(3)}
    assert f"trial_{cut}" in states
    assert len(kpk.pareto_front(tmp_path / "search").trials) == 3
