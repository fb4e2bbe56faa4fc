"""The command line: its words, `inspect`, `demo`, and what every command has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.cli import main, options
from keras_prune_kit.cli.result import Result

COMMANDS = ("inspect", "compress", "compare", "export", "demo")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    """With stderr left alone: who sets the log level wants to see native logs."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)


def run(*words):
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "keras_prune_kit", *words],
        capture_output=True,
        text=True,
    )


@pytest.fixture
def saved(K):
    model = models.sequential(K)
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.75))):
        pass
    model.save("model.keras")
    return "model.keras"


def test_inspect_shows_layers_shapes_zeros_and_sizes(saved, K, capsys):
    assert main(["inspect", saved]) == 0
    out = capsys.readouterr().out
    assert f"{K.__name__} {K.__version__}: (n, 8) -> (n, 3)" in out
    kernels = [line.split()[1:] for line in out.splitlines() if "Dense" in line]
    assert kernels == [
        ["Dense", "8x16", "144", "75.00", "%"],
        ["Dense", "16x3", "51", "75.00", "%"],
    ]
    assert f"file bytes: {os.path.getsize(saved):,}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_inspect_speaks_json(saved, capsys):
    assert main(["inspect", saved, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["sparsity"] == 0.75
    assert data["gzip_bytes"] == kpk.gzip_bytes(saved)
    assert [weight["zeros"] for weight in data["weights"]] == [96, 36]
    assert [layer["shapes"] for layer in data["layers"]] == [
        [[8, 16], [16]],
        [[16, 3], [3]],
    ]


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_inspect_tells_the_state_of_the_optimizer_apart(K, ending, capsys):
    model = models.sequential(K)
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 8)), np.zeros((4, 3)), verbose=0)
    model.save(f"model{ending}")
    assert main(["inspect", f"model{ending}", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    # Two numbers a weight, and one or two of its own: steps, and the learning rate.
    moments, own = 2 * 4 * model.count_params(), (4, 8, 12)
    assert data["optimizer_bytes"] - moments in own
    assert data["weights_gzip_bytes"] == kpk.gzip_bytes(model)


@pytest.mark.each_value
@pytest.mark.parametrize("name", ["nested", "recurrent", "attention", "shared"])
def test_inspect_counts_each_weight_once(K, capsys, name):
    model = models.ZOO[name](K)
    model.save("model.keras")
    assert main(["inspect", "model.keras", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert sum(layer["parameters"] for layer in layers) == model.count_params()
    assert main(["inspect", "model.keras"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_inspect_reads_a_tflite(K, capsys):
    path = "model.tflite"
    kpk.export_tflite(models.sequential(K), path)
    assert main(["inspect", path, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["weights"]) == 2
    assert main(["inspect", path]) == 0
    out = capsys.readouterr().out
    assert "float32(any, 8) -> " in out
    assert "target" not in out


@pytest.mark.slow
def test_inspect_loads_this_packages_own_layers():
    model = keras.Sequential([keras.layers.Input((8,)), kpk.PrunableDense(4)])
    model.save("model.keras")
    done = run("inspect", "model.keras")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["broken.keras", "broken.h5", "broken.tflite"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04nonsense"])
def test_a_file_that_cannot_be_read_is_one_sentence_and_exit_code_1(
    capsys, name, content
):
    Path(name).write_bytes(content)
    assert main(["inspect", name]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("error:")
    assert name in error
    assert error.count("\n") == 1


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_file_that_was_cut_off_is_one_sentence(K, capsys, share, suffix):
    path = Path(f"model.{suffix}")
    models.sequential(K).save(str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert main(["inspect", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error:")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["nothing"], "nothing"),
        (["inspect"], "MODEL"),
        (["inspect", "missing.keras"], "no such file: missing.keras"),
        (["inspect", "there.txt"], "a .keras or .h5 or .hdf5 or .tflite file"),
        (["inspect", "folder"], "not the folder folder"),
        (["demo", "--sparsity", "80"], "below 1"),
        (["demo", "--sparsity", "half"], "a number is needed, not 'half'"),
        (["demo", "--out", "full"], "full is not empty"),
        (["demo", "--out", "there.txt"], "there.txt is a file"),
        (["compress", "there.keras", "--out", "new"], "--train"),
        (["compress", "there.keras", "--train", "there.npz"], "--out"),
        (["compress", "there.tflite", "--train", "there.npz"], ".keras or .h5"),
        (["compare", "--data", "there.npz"], "FILE"),
        (["compare", "there.keras"], "--data"),
        (["compare", "there.keras", "gone.h5", "--data", "there.npz"], "gone.h5"),
        (["compare", *2 * ["there.keras"], "--data", "there.npz"], "given twice"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(capsys, words, message):
    for name in ("there.txt", "there.keras", "there.npz", "there.tflite"):
        Path(name).touch()
    Path("folder").mkdir()
    Path("full").mkdir()
    Path("full/mine").touch()
    with pytest.raises(SystemExit) as exit_code:
        main(words)
    assert exit_code.value.code == 2
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not Path("new").exists()


def test_an_empty_folder_may_be_written_to():
    Path("empty").mkdir()
    assert options.read_options(["demo", "--out", "empty"]).out == "empty"


@pytest.mark.parametrize(
    "words",
    [
        ["--train", "there.npz", "--quantize", "int3"],
        ["--train", "there.npz", "--epochs", "2.5"],
        ["--train", "there.npz", "--batch-size", "-1"],
        ["--train", "there.npz", "--scale", "1/0"],
        ["--train", "there.npz", "--scale", "nan,1"],
        ["--train", "there.npz", "--policy", "missing.json"],
        ["--train", "there.npz", "--policy", "p.json", "--sparsity", "0.5"],
        ["--train", "missing.npz"],
        ["--train", "missing"],
        ["--train", "there.keras"],
        ["--train", "no_such_module:load"],
        ["--train", "there.npz", "--validation", "missing.npz"],
    ],
)
def test_bad_usage_of_compress_is_found_before_any_work(capsys, words):
    for name in ("there.keras", "there.npz", "p.json"):
        Path(name).touch()
    with pytest.raises(SystemExit) as exit_code:
        main(["compress", "there.keras", "--out", "new", *words])
    assert exit_code.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("new").exists()


def test_help_imports_nothing_heavy():
    """Which is why it answers at once."""
    script = (
        "import sys, keras_prune_kit.cli\n"
        "try: keras_prune_kit.cli.main(['compress', '--help'])\n"
        "except SystemExit as end: print(end.code)\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'numpy', 'h5py', 'matplotlib'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-2:] == ["0", "set()"]


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_fits_a_terminal(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_code:
        main([*words, "--help"])
    assert exit_code.value.code == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "exit codes: 0 done" in out


def test_json_has_no_nan():
    result = Result("", {"score": float("nan"), "sizes": [1, float("inf")]})
    assert json.loads(result.to_json(["a note"])) == {
        "score": None,
        "sizes": [1, None],
        "notes": ["a note"],
    }


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(
    saved, capsys, monkeypatch
):
    from keras_prune_kit.cli import inspect

    def fail(_):
        raise KeyError("what")

    monkeypatch.setattr(inspect, "run", fail)
    assert main(["inspect", saved]) == 1
    error = capsys.readouterr().err
    assert error == "error: KeyError: 'what' (python -X dev shows where)\n"


def test_an_error_shows_brackets_as_they_are(saved, capsys, monkeypatch):
    from keras_prune_kit.cli import inspect

    def fail(_):
        raise ValueError("Received: [/bold] [red].")

    monkeypatch.setattr(inspect, "run", fail)
    assert main(["inspect", saved]) == 1
    assert capsys.readouterr().err == "error: Received: [/bold] [red].\n"


@pytest.mark.slow
def test_demo_runs_in_a_fresh_process_and_names_its_folder():
    done = run("demo", "--out", "there")
    assert "there" in done.stdout
    assert "smaller" in done.stdout
    assert "images to train with" in done.stderr
    assert "  pruning, epoch 40/40 (" in done.stderr
    report = json.loads(Path("there/report.json").read_text())
    assert report["stages"][-1]["ratio"] > 5
    assert report["stages"][-1]["scores"]["accuracy"] > 0.9
    assert kpk.TFLiteModel("there/model.tflite").bytes
    before = os.listdir("there")
    again = run("demo", "--out", "there")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert os.listdir("there") == before
