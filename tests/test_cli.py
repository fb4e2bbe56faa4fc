"""The command line: what it prints, what it writes, and its exit codes."""

import json
import subprocess
import sys

import keras
import models
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.cli import main


@pytest.fixture(autouse=True)
def _leave_stderr_alone(monkeypatch):
    """The command line silences native logs only where nobody asked for them."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def saved(K, tmp_path):
    model = models.sequential(K)
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.75))):
        pass
    model.save(str(tmp_path / "model.keras"))
    return tmp_path / "model.keras"


def test_inspect_shows_weights_zeros_and_sizes(saved, capsys):
    assert main(["inspect", str(saved)]) == 0
    out = capsys.readouterr().out
    assert "96" in out
    assert "75.00 %" in out
    assert f"file bytes: {saved.stat().st_size:,}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_inspect_speaks_json(saved, capsys):
    assert main(["inspect", str(saved), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["sparsity"] == 0.75
    assert data["gzip_bytes"] == kpk.gzip_bytes(saved)
    assert [weight["zeros"] for weight in data["weights"]] == [96, 36]


def test_inspect_reads_a_tflite(K, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    kpk.export_tflite(models.sequential(K), path)
    assert main(["inspect", str(path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["weights"]) == 2


def test_inspect_loads_this_packages_own_layers(tmp_path):
    model = keras.Sequential([keras.layers.Input((8,)), kpk.PrunableDense(4)])
    model.save(tmp_path / "model.keras")
    run = subprocess.run(
        [sys.executable, "-m", "keras_prune_kit", "inspect", tmp_path / "model.keras"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["missing.keras", "broken.keras", "broken.tflite"])
def test_a_file_that_cannot_be_read_is_one_sentence_and_exit_code_1(
    tmp_path, capsys, name
):
    path = tmp_path / name
    if not name.startswith("missing"):
        path.write_bytes(b"nonsense")
    assert main(["inspect", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error:")
    assert name in error.replace("\n", "")


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["inspect"], ["demo", "--sparsity", "80"]]
)
def test_bad_usage_is_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as exit_code:
        main(words)
    assert exit_code.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_demo_runs_in_a_fresh_process_and_names_its_folder(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "keras_prune_kit", "demo", "--out", "there"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "there" in run.stdout
    assert "smaller" in run.stdout
    report = json.loads((tmp_path / "there" / "report.json").read_text())
    assert report["stages"][-1]["ratio"] > 5
    assert report["stages"][-1]["score"] > 0.9
    assert kpk.TFLiteModel(tmp_path / "there" / "model.tflite").bytes
