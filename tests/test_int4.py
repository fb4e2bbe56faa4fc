"""Files with weights of 4 bits: what numpy makes of the kernels, and no zero less."""

import importlib.util
import re
import sys

import keras
import keras_tuner
import models
import numpy as np
import pytest
import tf_keras
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.cli import main
from keras_prune_kit.tflite import ExportError, constants
from keras_prune_kit.tuning.space import Space

is_installed = importlib.util.find_spec("litert_quantizer") is not None
pytestmark = pytest.mark.skipif(
    not is_installed, reason="litert-quantizer is not installed"
)

LEVELS = 7  # Above zero; as many are below.


def images(count):
    return np.random.default_rng(0).random((count, 8, 8, 2), "float32")


def network(K):
    """Weights of all kinds of zeros: scattered, whole channels, a whole kernel."""
    L = K.layers
    inputs = L.Input((8, 8, 2))
    x = L.Conv2D(12, 3, activation="relu", name="conv")(inputs)
    x = L.Flatten()(x)
    x = L.Concatenate()([L.Dense(16, name="wide")(x), L.Dense(4, name="none")(x)])
    model = K.Model(inputs, L.Dense(5, name="top")(L.ReLU()(x)))
    rng = np.random.default_rng(0)
    for layer in kernels_of(model):
        kernel = rng.normal(size=layer.kernel.shape) * rng.random(
            layer.kernel.shape[-1]
        )
        kernel[rng.random(kernel.shape) < 0.6] = 0
        kernel[..., 1] = 0
        layer.kernel.assign(0 * kernel if layer.name == "none" else kernel)
    return model


def kernels_of(model):
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def rounded(kernel):
    """A kernel's levels and the step of each output channel, which is its last axis."""
    step = np.abs(kernel).max(tuple(range(kernel.ndim - 1))) / LEVELS
    return np.round(kernel / np.where(step == 0, 1, step)).astype(int), step


def in_file(exported, layer):
    """The constant of a layer's kernel, with the output channel last as in Keras."""
    (found,) = (c for c in constants(exported.bytes) if layer.name in c.name)
    return found, np.moveaxis(found.stored, 0, -1).reshape(layer.kernel.shape)


def test_the_file_has_the_levels_that_numpy_has(K):
    model = network(K)
    exported = kpk.export_tflite(model, quantization="int4")
    for layer in kernels_of(model):
        kernel = np.asarray(layer.kernel)
        constant, stored = in_file(exported, layer)
        levels, step = rounded(kernel)
        assert constant.dtype == "int4"
        np.testing.assert_array_equal(stored, levels)
        assert (stored[kernel == 0] == 0).all()
        assert not constant.zero_point.any()
        used = step > 0
        np.testing.assert_allclose(constant.scale.ravel()[used], step[used], rtol=1e-5)


def test_the_file_computes_with_these_kernels(K):
    model, x = network(K), images(70)
    exported = kpk.export_tflite(model, quantization="int4")
    before = model.predict(x, verbose=0)
    for layer in kernels_of(model):
        levels, step = rounded(np.asarray(layer.kernel))
        layer.kernel.assign(levels * step)
    truth = model.predict(x, verbose=0)
    spread = np.abs(truth - truth.mean(0)).mean()
    # The interpreter has inputs of each layer in 8 bits.
    assert np.abs(exported.predict(x) - truth).mean() < 0.03 * spread
    assert np.abs(before - truth).mean() > 0.06 * spread


def test_all_that_measures_a_file_measures_it(K, tmp_path):
    model, x = network(K), images(40)
    # So that each class is the likeliest for some of the images.
    model.get_layer("top").bias.assign(-model.predict(x, verbose=0).mean(0))
    y = model.predict(x, verbose=0).argmax(1)
    assert len(set(y)) >= 4
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    exported = kpk.export_tflite(model, tmp_path / "a.tflite", quantization="int4")
    zeros = sum(
        int(np.sum(rounded(np.asarray(layer.kernel))[0] == 0))
        for layer in kernels_of(model)
    )
    for report in (
        exported.sparsity_report(),
        kpk.sparsity_report(tmp_path / "a.tflite"),
    ):
        assert report.zeros == zeros
    assert zeros >= kpk.sparsity_report(model).zeros
    size = sum(weight.size for weight in report.weights)
    bound = kpk.entropy_bound(exported)
    assert {t.size for t in bound.tensors if t.dtype == "int4"} == {
        weight.size for weight in report.weights
    }
    assert bound.bound_bytes <= kpk.gzip_bytes(exported) == exported.gzip_bytes
    assert size / 2 < len(exported.bytes) < size / 2 + 4000
    dynamic = kpk.export_tflite(model, quantization="dynamic")
    assert exported.gzip_bytes < 0.9 * dynamic.gzip_bytes
    _, compared = kpk.compare({"keras": model, "int4": exported}, x, y).measurements
    assert compared.score == pytest.approx(exported.evaluate(x, y))
    assert compared.score > 0.75
    assert compared.weights == report


@pytest.mark.parametrize("build", [models.convolutional, models.attention])
def test_where_there_are_no_operators_for_4_bits_weights_have_8(K, build):
    exported = kpk.export_tflite(build(K), quantization="int4")
    kinds = {c.dtype for c in constants(exported.bytes) if c.is_weight and c.size > 8}
    assert kinds == ({"int4", "int8"} if build is models.convolutional else {"int4"})


def test_weights_that_stay_float_are_told(K, caplog):
    layers = (K.layers.Embedding(200, 8), K.layers.Flatten(), K.layers.Dense(3))
    model = K.Sequential([K.layers.Input((6,), dtype="int32"), *layers])
    exported = kpk.export_tflite(model, quantization="int4")
    kinds = {c.shape: c.dtype for c in constants(exported.bytes) if c.is_weight}
    assert kinds == {(200, 8): "float32", (3, 48): "int4"}
    assert "keeps these weights in float32" in caplog.text
    assert "embedding" in caplog.text and "'dynamic'" in caplog.text
    caplog.clear()
    kpk.export_tflite(network(K), quantization="int4")
    assert not caplog.text


def test_many_small_weights_that_stay_float_are_told(caplog):
    """The LSTM of Keras 2 is one operator, with eight matrices."""
    layers = tf_keras.layers
    for units, told in ((16, True), (8, False)):
        caplog.clear()
        model = tf_keras.Sequential([layers.Input((6, 8)), layers.LSTM(units)])
        kpk.export_tflite(model, quantization="int4")
        assert ("keeps these weights in float32" in caplog.text) is told


def test_a_file_that_4_bits_spoil_is_told(caplog):
    """One weight that is never used gives the others too wide a step."""
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    layer.kernel.assign([[100.0], [1.0], [-1.0], [2.0]])
    x = np.random.default_rng(0).normal(size=(64, 4)) * [0, 1, 1, 1]
    for kernel, told in ((layer.kernel.numpy(), True), (np.ones((4, 1)), False)):
        layer.kernel.assign(kernel)
        caplog.clear()
        kpk.export_tflite(model, quantization="int4", representative_data=x)
        assert ("does not reproduce" in caplog.text) is told
        assert ("quantize_aware(model, weight_bits=4)" in caplog.text) is told


def test_nothing_is_printed_about_a_large_graph(capfd):
    layers = (keras.layers.GRU(4, unroll=True), keras.layers.Dense(2))
    model = keras.Sequential([keras.layers.Input((12, 3)), *layers])
    kpk.export_tflite(model, quantization="int4")
    out, error = capfd.readouterr()
    assert not out and "Transformations" not in error


@pytest.mark.quick_in("keras")
def test_what_does_not_go_with_it_is_refused(mlp):
    model = mlp()
    for options, message in (
        ({"io_dtype": "int8"}, r"one of \['float32'\]"),
        ({"sparse_storage": True}, "'none' or 'float16'"),
    ):
        with pytest.raises(ValueError, match=message):
            kpk.export_tflite(model, quantization="int4", **options)
    trained = kpk.quantize_aware(model, weight_bits=8).model
    with pytest.raises(ValueError, match="quantization='int8'.*'int4'"):
        kpk.export_tflite(trained, quantization="int4")


@pytest.mark.quick_in("keras")
def test_a_failure_of_the_quantizer_is_told(mlp, monkeypatch):
    def fail(content):
        raise KeyError("no rule")

    monkeypatch.setattr("keras_prune_kit.tflite.convert.to_int4", fail)
    with pytest.raises(ExportError, match="quantizer cannot take it: 'no rule'"):
        kpk.export_tflite(mlp(), quantization="int4")


@pytest.mark.quick_in("keras")
def test_a_missing_package_is_told_before_any_work(
    mlp, data, monkeypatch, capsys, tmp_path
):
    monkeypatch.setitem(sys.modules, "litert_quantizer", None)  # Not to be imported.
    model, how = mlp(), r"pip install keras-prune-kit\[int4\]"
    with pytest.raises(ImportError, match=how):
        kpk.export_tflite(model, quantization="int4")
    with pytest.raises(ImportError, match=how):
        kpk.compress(model, data, validation_data=data, quantization="int4")
    with pytest.raises(ImportError, match=how):
        Space((0.5, 0.9), ("int8", "int4"), 1, (kpk.Unstructured(),), None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.keras").touch()
    np.savez("data.npz", x=data[0], y=data[1])
    for words in (
        ["export", "m.keras", "--out", "m.tflite", "--quantize", "int4"],
        [
            "search",
            "m.keras",
            "--out",
            "o",
            "--train",
            "data.npz",
            "--quantize",
            "int4",
        ],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert re.search(how, capsys.readouterr().err)


@pytest.mark.quick_in("keras")
def test_the_command_line_writes_one(K, data, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    models.classifier(K).save("m.keras")
    np.savez("data.npz", x=data[0], y=data[1])
    words = ["--quantize", "int4", "--representative", "data.npz"]
    assert main(["export", "m.keras", "--out", "m.tflite", *words]) == 0
    assert "m.tflite (int4)" in capsys.readouterr().out
    kinds = {c.dtype for c in constants((tmp_path / "m.tflite").read_bytes())}
    assert kinds == {"int4"}
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "keras-prune-kit[int4]" in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def trained(K, data):
    return trained_once(models.classifier, K, data, epochs=20)


@pytest.mark.quick_in("keras")
def test_the_whole_job_ends_in_one(trained, data):
    report = kpk.compress(
        trained,
        data,
        validation_data=data,
        policy=0.5,
        quantization="int4",
        epochs=3,
        verbose=0,
    )
    assert report.final.name == "pruned + int4"
    assert report.final.score == pytest.approx(report.stages[2].score, abs=0.1)
    assert report.final.sparsity >= 0.5
    kinds = {c.dtype for c in constants(report.tflite.bytes) if c.is_weight}
    assert kinds == {"int4"}


@pytest.mark.quick_in("keras")
def test_a_search_tries_them(trained, data, tmp_path):
    hypermodel = kpk.CompressionHyperModel(
        trained, quantization=["int4"], max_accuracy_drop=0.5, groups=1
    )
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=1, seed=0)
    tuner = kpk.CompressionTuner(
        oracle=oracle, hypermodel=hypermodel, directory=tmp_path
    )
    tuner.search(*data, validation_data=data, epochs=2, verbose=0)
    (trial,) = kpk.pareto_front(tuner).trials
    found = constants((trial.folder / "model.tflite").read_bytes())
    assert {c.dtype for c in found if c.is_weight} == {"int4"}
