"""`keras-prune-kit compare`, on files of both worlds."""

import json
from pathlib import Path

import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.cli import main


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trained(mlp, data):
    """A trained model as model.keras and model.tflite, and data in data.npz."""
    x, y = data
    np.savez("data.npz", x_train=x[:9], y_train=y[:9], x_test=x, y_test=y)
    model = mlp()
    model.fit(x, y, epochs=3, verbose=0)
    model.save("model.keras")
    kpk.export_tflite(model, "model.tflite")
    return model


@pytest.mark.quick_in("tf_keras")
def test_files_are_measured_on_the_test_data(trained, data, capsys):
    words = ["model.keras", "model.tflite", "--data", "data.npz"]
    assert main(["compare", *words]) == 0
    out, error = capsys.readouterr()
    assert not error
    accuracy = trained.evaluate(*data, verbose=0, return_dict=True)["accuracy"]
    assert out.count(f"{accuracy:.4f}") == 2
    assert "model.tflite .tflite" in out
    assert max(map(len, out.splitlines())) <= 80
    assert main(["compare", *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    of_keras, of_tflite = result["measurements"]
    assert of_keras["gzip_bytes"] == kpk.gzip_bytes(trained)
    assert of_tflite["file_bytes"] == Path("model.tflite").stat().st_size
    for measured in (of_keras, of_tflite):
        assert measured["scores"]["accuracy"] == pytest.approx(accuracy)
    assert result["notes"] == []


@pytest.mark.quick_in("keras")
def test_a_tflite_alone_is_judged_by_accuracy(trained, data, capsys):
    assert main(["compare", "model.tflite", "--data", "data.npz", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["measurements"]
    accuracy = kpk.TFLiteModel("model.tflite").evaluate(*data)
    assert measured[0]["scores"] == {"accuracy": accuracy}


def test_a_model_that_is_not_compiled_is_judged_by_what_fits(K, data, capsys):
    x, _ = data
    np.savez("data.npz", x=x, y=x[:, :3])
    model = models.sequential(K)
    model.save("model.keras")
    kpk.export_tflite(model, "model.tflite")
    words = ["model.tflite", "model.keras", "--data", "data.npz", "--json"]
    assert main(["compare", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert "mean_squared_error and mae" in result["notes"][0]
    error = np.abs(model.predict(x, verbose=0) - x[:, :3]).mean()
    for measured in result["measurements"]:
        assert measured["scores"]["mae"] == pytest.approx(error, rel=1e-4)


@pytest.mark.quick_in("keras")
def test_names_tell_files_apart(trained, capsys):
    Path("old").mkdir()
    trained.save("old/model.keras")
    words = ["model.keras", "old/model.keras", "--data", "data.npz", "--json"]
    assert main(["compare", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    names = [Path(measured["name"]) for measured in result["measurements"]]
    assert names == [Path("model"), Path("old/model")]


@pytest.mark.each_value
@pytest.mark.parametrize("name", ["other.keras", "broken.tflite", "lambda.keras"])
def test_a_file_that_cannot_be_compared_is_named(K, trained, capsys, name):
    if name == "broken.tflite":
        Path(name).write_bytes(b"nonsense")
    else:
        layers = K.layers
        last = layers.Lambda(lambda x: x) if "lambda" in name else layers.Dense(3)
        K.Sequential([layers.Input((5,)), last]).save(name)
    words = ["model.keras", name, "--data", "data.npz"]
    assert main(["compare", *words]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert name.partition(".")[0] in error
    assert error.count("\n") == 1


@pytest.mark.quick_in("keras")
def test_training_data_do_not_measure(trained, data, capsys):
    np.savez("data.npz", x_train=data[0], y_train=data[1])
    assert main(["compare", "model.keras", "--data", "data.npz"]) == 1
    assert "x_test and y_test, or x and y" in capsys.readouterr().err
