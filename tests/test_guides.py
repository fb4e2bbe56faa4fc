"""The guides run, and come out as they say.

    pytest -n 0 -m slow tests/test_guides.py

All in one process, on the small slices of QUICK=1. The guide of loops is run on each
backend, by tests/backends.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest

import keras_prune_kit as kpk

TESTS = Path(__file__).parent
GUIDES = TESTS.parent / "examples" / "guides"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a guide in an empty folder; returns its names."""
    monkeypatch.setenv("QUICK", "1")
    monkeypatch.chdir(tmp_path)
    return lambda name: runpy.run_path(str(GUIDES / f"{name}.py"))


def scores(comparison):
    return {m.name: m.score for m in comparison.measurements}


@pytest.mark.slow  # Its quick sibling looks at the texts: test_examples.py.
def test_pruning_with_fit(run):
    guide = run("01_pruning_with_fit")
    assert guide["sparsity"] == pytest.approx(0.8, abs=1e-3)
    assert guide["history"].history["sparsity"][-5:] == pytest.approx([0.8] * 5, 1e-3)
    assert min(scores(guide["comparison"]).values()) > 0.95


@pytest.mark.slow
def test_transfer_learning(run):
    guide = run("03_transfer_learning")
    assert guide["apart"] < 1e-6
    weights = kpk.sparsity_report(guide["best"]).weights
    zeros = {weight.path: weight.sparsity for weight in weights}
    assert zeros.pop("head/kernel") == 0
    assert list(zeros.values()) == pytest.approx([0.7] * 3, abs=0.003)
    assert guide["file"].evaluate(*guide["test"]) > 0.95


@pytest.mark.slow
def test_text_and_attention(run):
    guide = run("04_text_and_attention")
    x, y = guide["test"]
    assert guide["files"]["dynamic"].evaluate(x, y) > 0.9
    assert guide["classify"]("A lovely word3, word8!") > 0.5
    assert guide["classify"]("word5 not good word9") < 0.5
    # The words that it looks up are those of Keras' layer.
    texts = guide["texts"][3000:3020]
    expected = guide["files"]["dynamic"].predict(x[:20])[:, 0]
    assert [guide["classify"](text) for text in texts] == pytest.approx(expected)


@pytest.mark.slow
def test_tabular_data(run):
    guide = run("05_tabular_data")
    accuracy = guide["accuracy"]
    assert accuracy["int8"] < 0.8 < 0.93 < accuracy["dynamic"]
    assert accuracy["int8, normalized before"] > 0.93
    assert guide["after"] < 1.1 * guide["before"]


@pytest.mark.slow
def test_qat_and_low_bits(run):
    guide = run("06_qat_and_low_bits")
    files, test = guide["files"], guide["test"]
    assert len(np.unique(guide["kernel"])) == 3
    assert min(file.evaluate(*test) for file in files.values()) > 0.85
    four, zeros = files["QAT, 4 bits"], files["QAT, 4 bits, 80 % zeros"]
    assert files["int8"].gzip_bytes > 2 * four.gzip_bytes
    assert four.gzip_bytes > 2 * zeros.gzip_bytes
    two, mixed = files["QAT, 2 bits"], files["QAT, 2 and 4 bits"]
    assert two.gzip_bytes < mixed.gzip_bytes < four.gzip_bytes
    assert dict(guide["report"].layers)["hidden"] == "2 bits in int4"


@pytest.mark.slow
def test_keras_tuner(run):
    guide = run("07_keras_tuner")
    values, best = guide["values"], guide["best"]
    zeros = kpk.sparsity_report(best).sparsity
    assert zeros == pytest.approx(values["sparsity"], abs=0.002)
    trial = guide["own"].oracle.get_best_trials(1)[0]
    assert trial.metrics.get_best_value("gzip_bytes") == guide["again"].gzip_bytes
    assert guide["file"].evaluate(*guide["test"]) > 0.9


@pytest.mark.slow
def test_from_tfmot(run):
    guide = run("08_from_tfmot")
    assert guide["pruning"].report.sparsity == pytest.approx(0.8, abs=1e-3)
    assert guide["zeros"] == pytest.approx(0.8, abs=2e-3)
    np.testing.assert_allclose(
        guide["new_outputs"], guide["old_outputs"], rtol=0, atol=1e-5
    )


@pytest.mark.slow
def test_deploying(run):
    guide = run("09_deploying")
    np.testing.assert_array_equal(guide["found"], guide["expected"])
    # Those that the C++ of the guide adds.
    assert guide["operators"] == ["CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]
    numbers = [
        part for part in Path("digits_model.h").read_text().split() if "0x" in part
    ]
    assert bytes(int(part.strip(","), 16) for part in numbers) == guide["content"]
    assert guide["small"].evaluate(*guide["test"]) > 0.9


@pytest.mark.slow
def test_what_the_figures_mean(run):
    guide = run("10_what_the_figures_mean")
    assert guide["ratio"] == pytest.approx(guide["report"].ratio)
    assert guide["by_hand"] == guide["report"].tflite.gzip_bytes
    assert guide["zeros"] / guide["size"] == pytest.approx(0.9, abs=1e-3)
    # As the text says: 16x, 47x and 3.6x; and nothing lost that is more than luck.
    assert abs(guide["b"] - guide["c"]) < guide["noise"]
    assert 15 < guide["ratio"] < 20 and 45 < guide["checkpoint"] / guide["by_hand"] < 55


@pytest.mark.slow
def test_without_training(run):
    guide = run("11_without_training")
    assert guide["accuracy"](guide["repaired"]) > 0.95
    assert guide["accuracy"](guide["pruned"]) > 0.94
    assert guide["accuracy"](guide["only_zeros"](0.9)) < 0.9
    assert guide["report"].tflite.evaluate(*guide["test"]) > 0.94


def test_each_guide_is_run():
    texts = Path(__file__).read_text() + (
        TESTS / "backends" / "test_backend_guides.py"
    ).read_text("utf-8")
    missing = [p.stem for p in GUIDES.glob("*.py") if f'"{p.stem}' not in texts]
    assert missing == []
