"""`keras-prune-kit compress --calibrate`: without training, with and without labels."""

import json
import os

import models
import numpy as np
import pytest
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.cli import main
from keras_prune_kit.cli.models import judged_by_outputs

pytestmark = pytest.mark.quick_in("keras")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(K, data):
    """A trained model, as a file here."""
    model = trained_once(models.classifier, K, data, epochs=3)
    model.save("model.keras")
    return model


def calibrate(*words, data="data.npz"):
    words = ("--calibrate", data, "--quantize", "none", "--out", "out", *words)
    return main(["compress", "model.keras", *words])


def in_json(capsys):
    return json.loads(capsys.readouterr().out)


def test_nothing_is_trained_and_a_tenth_of_labelled_data_measures(model, data, capsys):
    x, y = data
    np.savez("data.npz", x=x, y=y)
    assert calibrate("--sparsity", "0.5", "--epochs", "0", "--json") == 0
    report = in_json(capsys)
    assert report["settings"]["epochs"] == 0
    assert report["metric"] == "accuracy"
    assert "a tenth (12) is held out" in report["notes"][0]
    order = np.random.default_rng(0).permutation(len(x))
    is_held_out = np.isin(np.arange(len(x)), order[:12])
    expected = kpk.prune_at_once(model, 0.5, data=x[~is_held_out])
    pruned = _keras.load("out/pruned.keras")
    for a, b in zip(expected.get_weights(), pruned.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    classes = model.predict(x[is_held_out], verbose=0).argmax(-1)
    accuracy = np.mean(classes == y[is_held_out])
    assert report["stages"][0]["scores"]["accuracy"] == pytest.approx(accuracy)


def test_without_labels_outputs_are_compared_with_those_of_the_model(
    model, data, capsys
):
    np.savez("data.npz", x=data[0])
    assert calibrate("--sparsity", "0.5", "--json") == 0
    report = in_json(capsys)
    assert report["metric"] == "distance"
    assert any("There are no labels" in note for note in report["notes"])
    order = np.random.default_rng(0).permutation(len(data[0]))
    held_out = data[0][np.sort(order[:12])]
    pruned = _keras.load("out/pruned.keras", compiled=True)
    pairs = (each.predict(held_out, verbose=0) for each in (model, pruned))
    distance = float(np.abs(np.subtract(*pairs)).mean())
    scores = [stage["scores"]["distance"] for stage in report["stages"]]
    assert scores[0] == 0
    assert scores[2] == pytest.approx(distance, abs=1e-6)
    assert scores[2] > 1e-3
    # It is compiled as the model is, not as it was measured.
    assert pruned.evaluate(*data, verbose=0, return_dict=True).keys() == {
        "accuracy",
        "loss",
    }


def test_labelled_data_of_their_own_measure(model, data, capsys):
    np.savez("data.npz", x=data[0])
    np.savez("held.npz", x=data[0][:50], y=data[1][:50])
    assert calibrate("--validation", "held.npz", "--json") == 0
    report = in_json(capsys)
    assert report["metric"] == "accuracy"
    expected = model.evaluate(data[0][:50], data[1][:50], verbose=0)[1]
    assert report["stages"][0]["scores"]["accuracy"] == pytest.approx(expected)
    assert report["pruned"]["sparsity"] == pytest.approx(0.8, abs=0.01)


def test_inputs_of_a_function_and_a_model_that_is_not_compiled(
    K, data, capsys, monkeypatch, tmp_path
):
    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(3)])
    model.save("model.keras")
    np.save("x.npy", data[0])
    (tmp_path / "inputs_alone.py").write_text(
        "import numpy as np\ndef load():\n    return np.load('x.npy')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert calibrate("--json", data="inputs_alone:load") == 0
    assert in_json(capsys)["metric"] == "distance"


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calibrate", "data.npz", "--epochs", "3"], "pass labelled data with --tra"),
        (["--calibrate", "data.npz", "--train", "data.npz"], "not allowed with"),
        (["--train", "data.npz", "--epochs", "-1"], "at least 0"),
        ([], "--train --calibrate"),
    ],
)
def test_bad_usage(model, data, capsys, words, message):
    np.savez("data.npz", x=data[0], y=data[1])
    with pytest.raises(SystemExit) as exit_code:
        main(["compress", "model.keras", "--out", "out", *words])
    assert exit_code.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not os.path.exists("out")


def test_training_needs_labels(model, data, capsys):
    np.savez("data.npz", x=data[0])
    words = ["--train", "data.npz", "--out", "out"]
    assert main(["compress", "model.keras", *words]) == 1
    assert "must have the arrays x_train and y_train" in capsys.readouterr().err


def test_several_outputs_need_labels(K):
    model = models.two_in_two_out(K)
    rng = np.random.default_rng(0)
    x = {"left": rng.normal(size=(40, 8)), "right": rng.normal(size=(40, 4))}
    with pytest.raises(ValueError, match="2 outputs. Add --validation DATA"):
        judged_by_outputs(model, x)
