"""`keras-prune-kit search`, on files of both worlds."""

import json
import os
from pathlib import Path

import models
import numpy as np
import pytest
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.cli import main

FILES = ["front.html", "front.json", "front.png", "model.keras", "model.tflite"]

one_world = pytest.mark.parametrize("K", ["keras"], indirect=True)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


def fast_learner(K):
    return models.classifier(K, optimizer=K.optimizers.Adam(0.05))


@pytest.fixture
def files(K, data):
    """A trained model and its data, as files here."""
    x, y = data
    np.savez("data.npz", x_train=x, y_train=y, x_val=x, y_val=y)
    trained_once(fast_learner, K, data, epochs=10).save("model.keras")


def search(*words):
    options = ["--train", "data.npz", "--epochs", "1", "--quantize", "none,dynamic"]
    return main(["search", "model.keras", *options, "--out", "out", *words])


@pytest.mark.quick_in("keras")
def test_search_writes_the_best_and_goes_on(files, capsys, data):
    words = ("--max-drop", "0.5", "--sparsity", "0.3", "0.6", "--max-trials")
    assert search(*words, "1") == 0
    out, _ = capsys.readouterr()
    assert "Pareto front: 1 of 1 trials" in out
    assert max(map(len, out.splitlines())) <= 80
    assert set(FILES) <= set(os.listdir("out"))
    assert (Path("out/logs")).is_dir()
    first = Path("out/search/trial_0/compression.json").read_bytes()
    assert search(*words, "2", "--json") == 0
    out, error = capsys.readouterr()
    result = json.loads(out)
    assert not error
    assert "Resuming the search. Trials that are already done: 1." in result["notes"][1]
    assert len(result["trials"]) == 2
    assert Path("out/search/trial_0/compression.json").read_bytes() == first
    best = next(t for t in result["trials"] if t["name"] == result["best"])
    shipped = kpk.TFLiteModel("out/model.tflite")
    assert shipped.gzip_bytes == best["measures"]["gzip_bytes"]
    assert shipped.evaluate(*data) == pytest.approx(best["measures"]["tflite_accuracy"])


@one_world
def test_none_that_is_good_enough_is_said(files, capsys):
    words = ("--max-drop", "0", "--sparsity", "0.97", "0.98", "--max-trials", "1")
    assert search(*words) == 0
    out = capsys.readouterr().out
    assert "No trial comes within 0 of the accuracy of the baseline" in out
    assert not os.path.exists("out/model.tflite")


@one_world
def test_another_search_in_that_folder(files, capsys):
    assert search("--max-trials", "1") == 0
    capsys.readouterr()
    assert search("--max-trials", "2", "--max-drop", "0.2") == 1
    error = capsys.readouterr().err
    assert "holds another search (max_accuracy_drop 0.01, now 0.2)" in error
    assert error.splitlines()[-1].startswith("error:")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantize", "int3"], "not 'int3'"),
        (["--quantize", ""], "not ''"),
        (["--max-drop", "-1"], "a fraction of at least 0"),
        (["--max-trials", "0"], "a whole number of at least 1"),
        (["--sparsity", "0.5"], "expected 2 arguments"),
    ],
)
def test_bad_usage_is_found_before_any_work(capsys, words, message):
    for name in ("model.keras", "data.npz"):
        Path(name).touch()
    with pytest.raises(SystemExit) as exit_code:
        search(*words)
    assert exit_code.value.code == 2
    assert message in capsys.readouterr().err
    assert not os.path.exists("out")


@one_world
def test_sparsities_the_wrong_way_round(files, capsys):
    assert search("--sparsity", "0.9", "0.5") == 1
    assert "lowest sparsity comes first" in capsys.readouterr().err


def test_a_full_folder_of_something_else_is_kept(capsys):
    for name in ("model.keras", "data.npz"):
        Path(name).touch()
    os.mkdir("out")
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(SystemExit):
        search()
    assert "is not empty" in capsys.readouterr().err
    assert os.listdir("out") == ["mine.txt"]


@one_world
def test_a_regression_is_searched_by_the_error_that_is_named(K, capsys):
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = 2 * x[:, :1] - x[:, 1:2]
    np.savez("data.npz", x_train=x, y_train=y, x_val=x, y_val=y)
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(16), K.layers.Dense(1)])
    model.compile(K.optimizers.Adam(0.05), "mse", metrics=["mse", "mae"])
    model.fit(x, y, epochs=10, verbose=0)
    model.save("model.keras")
    words = ("--max-trials", "1", "--max-drop", "0.9", "--objective", "mae")
    assert search(*words, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["metric"], result["mode"]) == ("mae", "min")
    before = abs(model.predict(x, verbose=0) - y).mean()
    assert result["baseline_accuracy"] == pytest.approx(before, rel=1e-4)
    found = kpk.TFLiteModel(Path("out/search").glob("trial_0/*.tflite").__next__())
    error = abs(found.predict(x) - y).mean()
    measures = result["trials"][0]["measures"]
    assert measures["tflite_accuracy"] == pytest.approx(error, rel=1e-4)
    drop = (error - before) / before
    assert measures["accuracy_drop"] == pytest.approx(drop, rel=1e-3)
    assert search(*words, "--mode", "max", "--max-trials", "2") == 1
    assert "judged by mae (min), now mae (max)" in capsys.readouterr().err
