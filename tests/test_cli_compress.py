"""`keras-prune-kit compress` and `export`, on files of both worlds."""

import json
import os
from pathlib import Path

import models
import numpy as np
import pytest
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit._tools.files import _SCRATCH, scratch_folder
from keras_prune_kit.cli import main
from keras_prune_kit.cli.models import compile_for

FILES = [
    *("model.tflite", "pruned.keras"),
    *("report.html", "report.json", "report.txt", "sizes.png"),
]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(K, data):
    """A trained model and its data, as files here."""
    x, y = data
    np.savez("data.npz", x=x, y=y)
    model = trained_once(models.classifier, K, data, epochs=3)
    model.save("model.keras")
    return model


def compress(*words, out="out"):
    words = ("--train", "data.npz", "--epochs", "1", "--out", out, *words)
    return main(["compress", "model.keras", *words])


@pytest.mark.quick_in("keras")
def test_compress_writes_everything_and_prints_the_table(files, capsys):
    assert compress("--sparsity", "0.5") == 0
    out, error = capsys.readouterr()
    assert sorted(os.listdir("out")) == FILES
    assert "pruned + int8 .tflite" in out
    assert "Of the 128 samples of data.npz, a tenth (12) is held out" in error
    assert max(map(len, out.splitlines())) <= 80
    saved = json.loads(Path("out/report.json").read_text())
    assert f"{saved['stages'][-1]['gzip_bytes']:,}" in out
    assert kpk.sparsity_report("out/model.tflite").sparsity >= 0.5
    assert not list_parts()


def list_parts():
    return [name for name in os.listdir(".") if name.startswith(_SCRATCH)]


def test_parts_are_called_what_these_tests_look_for():
    with scratch_folder("."):
        assert len(list_parts()) == 1
    assert not list_parts()


@pytest.mark.quick_in("keras")
def test_json_is_all_there_is_on_stdout(files, capsys):
    assert compress("--json", "--quantize", "dynamic", "--batch-size", "64") == 0
    out, error = capsys.readouterr()
    data = json.loads(out)
    assert not error
    assert [stage["name"] for stage in data["stages"]][-1] == "pruned + dynamic"
    assert data["files"]["model.tflite"] == os.path.join("out", "model.tflite")
    assert data["ratio"] == data["stages"][-1]["ratio"]
    assert "a tenth (12)" in data["notes"][0]
    assert data["pruned"]["sparsity"] == pytest.approx(0.8, abs=0.01)


@pytest.mark.slow
def test_a_search_says_what_it_tried(files, capsys):
    words = ("--target", "smallest", "--max-drop", "0.9", "--epochs", "4", "--json")
    assert compress(*words) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["settings"]["target"] == "smallest"
    assert data["settings"]["max_accuracy_drop"] == 0.9
    attempts = data["search"]["attempts"]
    assert [attempt["epochs"] for attempt in attempts] == [0, 2, 2]
    assert all(attempt["holds"] for attempt in attempts[1:])
    assert sorted(os.listdir("out")) == FILES


@pytest.mark.slow
def test_a_sparsity_that_is_given_is_not_searched(files, capsys):
    words = ("--target", "smallest", "--max-drop", "0.9", "--epochs", "4", "--json")
    assert compress(*words, "--sparsity", "0.5", "--quantize", "dynamic") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["settings"]["target"] == "smallest"
    assert data["settings"]["max_accuracy_drop"] == 0.9
    attempts = data["search"]["attempts"]
    assert [attempt["setting"] for attempt in attempts] == [
        "dense, dynamic",
        "your policy, dynamic",
    ]
    assert sorted(os.listdir("out")) == FILES


@pytest.mark.slow
@pytest.mark.quick_in("keras")
def test_the_same_command_gives_the_same_result(files, capsys):
    results = []
    for _ in range(2):
        assert compress("--json", "--overwrite", "--quantize", "none") == 0
        results.append(json.loads(capsys.readouterr().out)["stages"])
        for stage in results[-1]:
            del stage["latency_ms"]
    assert results[0] == results[1]


@pytest.mark.quick_in("keras")
def test_a_policy_comes_from_a_file(files, capsys):
    policy = kpk.PrunePolicy(0.9, [kpk.Rule("classifier", None), kpk.Rule("h.*", 0.25)])
    Path("policy.json").write_text(json.dumps(policy.to_dict()))
    assert compress("--policy", "policy.json", "--json", "--quantize", "none") == 0
    pruned = json.loads(capsys.readouterr().out)["pruned"]
    assert [(w["path"], w["zeros"]) for w in pruned["weights"]] == [
        ("hidden/kernel", 32)
    ]


@pytest.mark.each_value
@pytest.mark.parametrize("text", ["", "[1]", '{"rules": []}', '{"schedule": 80}'])
def test_a_file_that_is_no_policy_is_one_sentence(files, capsys, text):
    Path("policy.json").write_text(text)
    assert compress("--policy", "policy.json") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: policy.json is not a valid policy")
    assert error.count("\n") == 1
    assert not os.path.exists("out")


@pytest.mark.quick_in("keras")
def test_a_full_folder_is_kept_unless_it_may_be_overwritten(files, capsys):
    os.mkdir("out")
    for name in ("mine.txt", "report.txt"):
        Path("out", name).write_text("mine")
    with pytest.raises(SystemExit) as exit_code:
        compress()
    assert exit_code.value.code == 2
    assert sorted(os.listdir("out")) == ["mine.txt", "report.txt"]
    assert compress("--overwrite", "--quantize", "none") == 0
    assert sorted(os.listdir("out")) == sorted([*FILES, "mine.txt"])
    assert Path("out/mine.txt").read_text() == "mine"
    assert Path("out/report.txt").read_text() != "mine"


def test_a_failed_job_leaves_no_folder(files, capsys):
    np.savez("data.npz", x=np.zeros((20, 7)), y=np.zeros(20, int))
    assert compress() == 1
    out, error = capsys.readouterr()
    assert not out
    assert "error: The model expects inputs of shape (n, 8). Received: (n, 7)." in error
    assert not os.path.exists("out")
    assert not list_parts()


def test_labels_that_the_model_does_not_know_are_named(files, data, capsys):
    np.savez("data.npz", x=data[0], y=data[1] + 1)
    assert compress() == 1
    assert "0 to 2. Received: labels from 1 to 3." in capsys.readouterr().err


def one_layer(K, units, activation):
    return K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(units, activation=activation)]
    )


@pytest.mark.quick_in("keras")
def test_a_model_that_is_not_compiled_gets_a_loss_and_that_is_said(K, data, capsys):
    np.savez("data.npz", x=data[0], y=data[1])
    one_layer(K, 3, None).save("model.keras")
    assert compress("--json", "--quantize", "none") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "accuracy"
    assert "sparse_categorical_crossentropy and accuracy" in result["notes"][-1]
    scores = [stage["scores"]["accuracy"] for stage in result["stages"]]
    assert scores[2] == pytest.approx(scores[3])


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("units", "activation", "labels", "loss", "metric"),
    [
        (3, "softmax", "classes", "sparse_categorical_crossentropy", "accuracy"),
        (3, None, "classes", "sparse_categorical_crossentropy", "accuracy"),
        (3, "softmax", "one-hot", "categorical_crossentropy", "accuracy"),
        (3, None, "one-hot", "categorical_crossentropy", "accuracy"),
        (3, "sigmoid", "several", "binary_crossentropy", "binary_accuracy"),
        (1, "sigmoid", "binary", "binary_crossentropy", "binary_accuracy"),
        (1, None, "binary", "binary_crossentropy", "binary_accuracy"),
        (1, None, "real", "mean_squared_error", "mae"),
        (1, None, "classes", "mean_squared_error", "mae"),
        (3, None, "reals", "mean_squared_error", "mae"),
    ],
)
def test_the_loss_fits_the_labels(
    K, data, caplog, units, activation, labels, loss, metric
):
    x, classes = data
    y = {
        "classes": classes,
        "one-hot": np.eye(3, dtype="float32")[classes],
        "several": (x[:, :3] > 0).astype("float32"),
        "binary": classes % 2,
        "real": x.sum(1),
        "reals": x[:, :3],
    }[labels]
    model = one_layer(K, units, activation)
    with caplog.at_level("INFO", "keras_prune_kit"):
        compile_for(model, (x, y))
    assert f"with adam, {loss} and {metric}, " in caplog.text
    config = model.loss.get_config()
    assert config.get("from_logits", False) is (activation is None and metric != "mae")
    history = model.fit(x, y, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.quick_in("keras")
def test_a_loss_that_needs_code_of_its_own_is_replaced_and_said(K, mlp, data, capsys):
    def my_loss(y_true, y_pred):
        return K.losses.sparse_categorical_crossentropy(y_true, y_pred)

    x, y = data
    np.savez("data.npz", x=x, y=y)
    model = models.sequential(K)
    model.compile("adam", my_loss)
    model.fit(x, y, verbose=0)
    model.save("model.keras")
    assert compress("--quantize", "none") == 0
    assert "Compiled with adam" in capsys.readouterr().err


@pytest.mark.quick_in("keras")
@pytest.mark.filterwarnings("ignore:.*HDF5 file")
def test_an_h5_is_compiled_as_it_was(K, mlp, data, capsys):
    np.savez("data.npz", x=data[0], y=data[1])
    model = mlp(optimizer="sgd")
    model.fit(*data, verbose=0)
    model.save("model.h5")
    words = ["--train", "data.npz", "--out", "out", "--quantize", "none", "--json"]
    assert main(["compress", "model.h5", *words, "--epochs", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "accuracy"
    assert len(result["notes"]) == 1


def test_several_outputs_need_a_compiled_model(K, capsys, monkeypatch, tmp_path):
    models.two_in_two_out(K).save("model.keras")
    (tmp_path / "two_outputs.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x = {'left': np.zeros((20, 8)), 'right': np.zeros((20, 4))}\n"
        "    return x, [np.zeros((20, 3)), np.zeros((20, 2))]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ["--train", "two_outputs:load", "--out", "out"]
    assert main(["compress", "model.keras", *words]) == 1
    assert "must be compiled" in capsys.readouterr().err


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic", "int8"])
def test_export_writes_the_file(files, data, capsys, quantization):
    words = ["--quantize", quantization, "--out", "model.tflite"]
    words += ["--representative", "data.npz"]
    assert main(["export", "model.keras", *words]) == 0
    assert capsys.readouterr().out.startswith(f"model.tflite ({quantization}): ")
    exported = kpk.TFLiteModel("model.tflite").predict(data[0])
    np.testing.assert_allclose(
        exported, files.predict(data[0], verbose=0), atol=0.1, rtol=0
    )


@pytest.mark.quick_in("keras")
def test_export_speaks_json_and_keeps_what_is_there(files, capsys):
    assert main(["export", "model.keras", "--out", "model.tflite", "--json"]) == 0
    out, error = capsys.readouterr()
    data = json.loads(out)
    assert not error
    assert data["file_bytes"] == os.path.getsize("model.tflite")
    assert data["gzip_bytes"] == kpk.gzip_bytes("model.tflite")
    before = Path("model.tflite").read_bytes()
    with pytest.raises(SystemExit) as exit_code:
        main(["export", "model.keras", "--out", "model.tflite"])
    assert exit_code.value.code == 2
    assert Path("model.tflite").read_bytes() == before
    words = ["--out", "model.tflite", "--overwrite", "--quantize", "float16"]
    assert main(["export", "model.keras", *words]) == 0
    assert Path("model.tflite").read_bytes() != before


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantize", "int8", "--out", "a.tflite"], "needs --representative"),
        (["--out", "a.keras"], "a .tflite file is needed"),
        (["--out", "missing/a.tflite"], "not there"),
        (["--quantize", "int3", "--out", "a.tflite"], "int3"),
    ],
)
def test_bad_usage_of_export(files, capsys, words, message):
    with pytest.raises(SystemExit) as exit_code:
        main(["export", "model.keras", *words])
    assert exit_code.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
