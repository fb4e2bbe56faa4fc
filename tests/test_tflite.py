"""Exported files: they compute what the model computes, and keep its zeros."""

import json
import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from marks import slow

import keras_prune_kit as kpk
from keras_prune_kit._keras.signature import ModelInput
from keras_prune_kit._tools import quantizations
from keras_prune_kit.tflite import ExportError, export
from keras_prune_kit.tflite import flatbuffer as fb
from keras_prune_kit.tflite.accuracy import accuracy
from keras_prune_kit.tflite.constants import unpack_values
from keras_prune_kit.tflite.samples import representative_samples

# And int4, which has tests of its own.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")


def images(count, seed=0):
    return np.random.default_rng(seed).random((count, 8, 8, 2), dtype="float32")


def cnn(K, **input_args):
    return K.Sequential(
        [
            K.layers.Input((8, 8, 2), **input_args),
            K.layers.Conv2D(16, 3, activation="relu"),
            K.layers.BatchNormalization(),
            K.layers.DepthwiseConv2D(3),
            K.layers.Conv2D(32, 3),
            K.layers.Flatten(),
            K.layers.Dense(40),
            K.layers.Dropout(0.5),
            K.layers.Dense(10, activation="softmax"),
        ]
    )


def many_to_many(K):
    """Names that sort neither like inputs nor like outputs, sizes that tell."""
    inputs = [
        K.layers.Input((size,), name=name)
        for name, size in {"z": 4, "a": 3, "m": 5}.items()
    ]
    joined = K.layers.Concatenate()([K.layers.Dense(8)(item) for item in inputs])
    outputs = [
        K.layers.Dense(size, name=name)(joined)
        for name, size in {"y": 2, "b": 6, "n": 3}.items()
    ]
    return K.Model(inputs, outputs)


def many_inputs(count):
    rng = np.random.default_rng(0)
    return [rng.random((count, n), dtype="float32") for n in (4, 3, 5)]


def sparsify(model, sparsity=0.8):
    """Zeroes kernels exactly; gives the zeros by sorted shape."""
    rng = np.random.default_rng(0)
    zeros = {}
    for weight in model.weights:
        if len(weight.shape) > 1:
            value = weight.numpy() * (rng.random(weight.shape) >= sparsity)
            weight.assign(value)
            zeros[key(value.shape)] = int((value == 0).sum())
    return zeros


def key(shape):
    """The converter turns axes around: sizes alone are the same on both sides."""
    return tuple(sorted(size for size in shape if size > 1))


def zeros_by_shape(report):
    return {key(weight.shape): weight.zeros for weight in report.weights}


# What the file computes.


def test_the_file_computes_what_the_model_computes(K):
    model, x = cnn(K), images(37)
    before = model.get_weights()

    exported = kpk.export_tflite(model)

    np.testing.assert_allclose(
        exported.predict(x), model.predict(x, verbose=0), atol=1e-5
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("quantization", "io_dtype"),
    [
        ("float16", "float32"),
        ("dynamic", "float32"),
        ("int8", "float32"),
        ("int8", "int8"),
        ("int8", "uint8"),
        ("int16x8", "float32"),
        ("int16x8", "int16"),
    ],
)
def test_quantized_files_take_and_give_floats(K, quantization, io_dtype):
    model, x = cnn(K), images(64)

    exported = kpk.export_tflite(
        model, quantization=quantization, representative_data=x, io_dtype=io_dtype
    )

    predictions = exported.predict(x)
    assert exported.inputs[0].dtype == exported.outputs[0].dtype == io_dtype
    assert predictions.dtype == "float32"
    np.testing.assert_allclose(predictions, model.predict(x, verbose=0), atol=0.02)


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    ("quantization", "io_dtype"),
    [("int8", "int8"), ("int8", "uint8"), ("int16x8", "int16")],
)
def test_arrays_of_the_type_of_the_file_are_taken_as_they_are(
    mlp, data, quantization, io_dtype
):
    model, x, y = mlp(), 20 + 100 * data[0], data[1]
    exported = kpk.export_tflite(
        model, quantization=quantization, representative_data=x, io_dtype=io_dtype
    )
    (spec,) = exported.inputs
    limits = np.iinfo(io_dtype)
    steps = np.rint(x / spec.scale) + spec.zero_point
    steps = steps.clip(limits.min, limits.max).astype(io_dtype)
    expected, accuracy = exported.predict(x), exported.evaluate(x, y)

    np.testing.assert_array_equal(exported.predict(steps), expected)
    assert exported.evaluate(steps, y) == accuracy
    (row,) = kpk.compare({"file": exported}, steps, y, latency_runs=0).measurements
    assert row.scores["accuracy"] == accuracy


@pytest.mark.each_value
@pytest.mark.parametrize("io_dtype", ["int8", "uint8"])
def test_pictures_of_bytes_are_real_values_beside_a_model(K, io_dtype):
    pixels = np.random.default_rng(0).integers(0, 120, (60, 6)).astype("uint8")
    model = K.Sequential([K.layers.Input((6,)), K.layers.Dense(3)])
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    y = model.predict(pixels.astype("float32"), verbose=0).argmax(-1)
    real = pixels.astype("float32")
    exported = kpk.export_tflite(
        model, quantization="int8", representative_data=pixels, io_dtype=io_dtype
    )

    rows = kpk.compare({"model": model, "file": exported}, pixels, y).measurements

    assert exported.inputs[0].scale < 0.6  # so a pixel is no step
    assert rows[0].scores["accuracy"] == 1.0
    assert rows[1].scores["accuracy"] == exported.evaluate(real, y) > 0.9
    # Other integers than those of the file are real values in any case.
    expected = exported.predict(real)
    np.testing.assert_array_equal(exported.predict(real.astype("int64")), expected)
    np.testing.assert_array_equal(exported.predict(real.astype("int16")), expected)


def test_what_an_embedding_can_be_is_said(K):
    layers = K.layers
    ids = layers.Input((3,), dtype="int64")
    model = K.Sequential([ids, layers.Embedding(8, 4), layers.Flatten()])
    x = np.array([[1, 2, 3], [7, 0, 1]])
    expected = model.predict(x, verbose=0)
    try:
        exported = kpk.export_tflite(
            model, quantization="int16x8", representative_data=x
        )
        np.testing.assert_allclose(exported.predict(x), expected, atol=1e-3)
    except kpk.ExportError as error:
        assert re.search(r"Embedding.*quantization='int8' or 'dynamic'", str(error))
        assert K.__name__ == "keras"  # Keras 2 counts rows without sums.
    exported = kpk.export_tflite(model, quantization="int8", representative_data=x)
    np.testing.assert_allclose(exported.predict(x), expected, atol=1e-3)


def test_inputs_and_outputs_keep_the_order_of_the_model(K, tmp_path):
    model, x = many_to_many(K), many_inputs(9)
    path = tmp_path / "model.tflite"

    kpk.export_tflite(model, path)

    loaded = kpk.TFLiteModel(path)
    assert [item.name for item in loaded.inputs] == ["z", "a", "m"]
    assert [item.name for item in loaded.outputs] == ["y", "b", "n"]
    for got, expected in zip(
        loaded.predict(x), model.predict(x, verbose=0), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=1e-5)
    by_name = loaded.predict({"a": x[1], "m": x[2], "z": x[0]})
    np.testing.assert_array_equal(by_name[1], loaded.predict(x)[1])


def test_order_survives_quantization_with_integer_io(K):
    model, x = many_to_many(K), many_inputs(30)
    exported = kpk.export_tflite(
        model, quantization="int8", representative_data=x, io_dtype="int8"
    )
    for got, expected in zip(
        exported.predict(x), model.predict(x, verbose=0), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=0.1 * np.abs(expected).max())


def test_a_model_of_dicts_takes_a_dict(K):
    inputs = {n: K.layers.Input((3,), name=n) for n in ("right", "left")}
    joined = K.layers.Concatenate()([inputs["right"], inputs["left"]])
    model = K.Model(inputs, {"sum": K.layers.Dense(2)(joined), "all": joined})
    x = {n: np.random.default_rng(0).random((5, 3), "float32") for n in inputs}

    exported = kpk.export_tflite(model)

    expected = model.predict(x, verbose=0)
    names = [item.name for item in exported.outputs]
    assert sorted(names) == ["all", "sum"]
    for name, got in zip(names, exported.predict(x), strict=True):
        np.testing.assert_allclose(got, expected[name], atol=1e-5)


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_recurrent_layers_run_one_sample_at_a_time(K, layer):
    model = K.Sequential(
        [K.layers.Input((6, 4)), getattr(K.layers, layer)(8), K.layers.Dense(2)]
    )
    x = np.random.default_rng(0).normal(size=(5, 6, 4)).astype("float32")

    exported = kpk.export_tflite(model)

    assert exported.inputs[0].shape == (1, 6, 4)
    # A fused LSTM that kept its state from sample to sample would fail here.
    np.testing.assert_allclose(
        exported.predict(x, batch_size=2), model.predict(x, verbose=0), atol=1e-5
    )


def test_a_loop_is_refused_where_calibration_would_crash(K):
    model = K.Sequential([K.layers.Input((6, 4)), K.layers.GRU(8)])
    with pytest.raises(ExportError, match="unroll=True"):
        kpk.export_tflite(
            model, quantization="int8", representative_data=np.zeros((4, 6, 4))
        )


def test_unrolled_recurrent_layers_can_be_int8(K):
    model = K.Sequential([K.layers.Input((6, 4)), K.layers.GRU(8, unroll=True)])
    x = np.random.default_rng(0).normal(size=(20, 6, 4)).astype("float32")
    exported = kpk.export_tflite(model, quantization="int8", representative_data=x)
    np.testing.assert_allclose(
        exported.predict(x), model.predict(x, verbose=0), atol=0.1
    )


@pytest.mark.parametrize("is_bidirectional", [slow(False), True])
def test_a_fused_lstm_in_int8_computes_what_the_model_does(is_bidirectional):
    """The converter's own file gives nonsense for small states, and for two of them."""
    import tf_keras as K

    lstm = K.layers.LSTM(8)
    lstm = K.layers.Bidirectional(lstm) if is_bidirectional else lstm
    model = K.Sequential([K.layers.Input((6, 4)), lstm])
    x = 0.2 * np.random.default_rng(0).normal(size=(50, 6, 4)).astype("float32")
    exported = kpk.export_tflite(model, quantization="int8", representative_data=x)
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in exported.operators
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(
        exported.predict(x), expected, atol=0.05 * np.abs(expected).max()
    )


def test_the_operators_of_a_file_stand_in_its_order():
    import keras as K

    layers = [K.layers.Conv2D(4, 3), K.layers.Conv2D(4, 3), K.layers.Flatten()]
    head = K.layers.Dense(3, activation="softmax")
    exported = kpk.export_tflite(K.Sequential([K.Input((8, 8, 2)), *layers, head]))
    of_layers = ("CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED")
    assert exported.operators == (*of_layers, "SOFTMAX")
    assert kpk.TFLiteModel(exported.bytes).operators == exported.operators


def test_a_custom_operator_has_its_own_name():
    @tf.function(input_signature=[tf.TensorSpec((2, 3))])
    def bessel(x):
        return tf.math.bessel_i0(x)

    traced, module = bessel.get_concrete_function(), tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    converter.allow_custom_ops = True
    assert fb.operator_names(converter.convert()) == ("BesselI0",)


def test_a_fused_lstm_in_int16x8_is_refused_with_the_reason():
    import tf_keras as K

    model = K.Sequential([K.layers.Input((6, 4)), K.layers.LSTM(8)])
    x = np.zeros((4, 6, 4))
    with pytest.raises(ExportError, match="states of an LSTM.*'int8' or 'dynamic'"):
        kpk.export_tflite(model, quantization="int16x8", representative_data=x)


def test_token_ids_are_taken_as_integers(K):
    model = K.Sequential(
        [
            K.layers.Input((6,), dtype="int32"),
            K.layers.Embedding(50, 8),
            K.layers.GlobalAveragePooling1D(),
        ]
    )
    x = np.random.default_rng(0).integers(0, 50, (7, 6))

    exported = kpk.export_tflite(model)

    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(exported.predict(x), expected, atol=1e-6)
    np.testing.assert_allclose(exported.predict(x.astype(float)), expected, atol=1e-6)
    with pytest.raises(ValueError, match="whole numbers"):
        exported.predict(x + 0.5)


def test_subclassed_and_nested_models(K):
    class Pair(K.Model):
        def __init__(self):
            super().__init__()
            self.encoder = K.Sequential([K.layers.Dense(8), K.layers.Dense(4)])
            self.other = K.layers.Dense(3)

        def call(self, inputs):
            return [self.encoder(inputs[0]), self.other(inputs[1])]

    rng = np.random.default_rng(0)
    x = [rng.random((6, 5), "float32"), rng.random((6, 2), "float32")]
    model = Pair()
    expected = model(x)

    exported = kpk.export_tflite(model)

    for got, wanted in zip(exported.predict(x), expected, strict=True):
        np.testing.assert_allclose(got, np.asarray(wanted), atol=1e-5)


def test_a_fixed_batch_is_padded_and_cut(K):
    model = cnn(K, batch_size=4)
    exported = kpk.export_tflite(
        model, quantization="int8", representative_data=images(16)
    )
    free = kpk.export_tflite(cnn_like(K, model))
    assert exported.inputs[0].shape[0] == 4
    np.testing.assert_allclose(
        exported.predict(images(10)), free.predict(images(10)), atol=0.02
    )


def cnn_like(K, model):
    twin = cnn(K)
    twin.set_weights(model.get_weights())
    return twin


@pytest.mark.parametrize(("count", "batch_size"), [(1, 32), (7, 3), (6, 3), (5, 100)])
def test_batches_of_any_length_give_the_same(count, batch_size):
    import keras

    exported, x = kpk.export_tflite(cnn(keras)), images(count)
    one_by_one = np.concatenate([exported.predict(x[i : i + 1]) for i in range(count)])
    got = exported.predict(x, batch_size=batch_size, num_threads=1)
    np.testing.assert_allclose(got, one_by_one, atol=1e-6)


def test_open_sizes_take_any_size(K):
    model = K.Sequential(
        [
            K.layers.Input((None, None, 3)),
            K.layers.Conv2D(4, 3),
            K.layers.GlobalAveragePooling2D(),
        ]
    )
    x = np.random.default_rng(0).random((3, 9, 7, 3), "float32")
    exported = kpk.export_tflite(model)
    np.testing.assert_allclose(
        exported.predict(x), model.predict(x, verbose=0), atol=1e-5
    )
    assert exported.inputs[0].shape == (None, None, None, 3)
    assert exported.latency(x, runs=2) > 0
    with pytest.raises(ValueError, match="x must be given"):
        exported.latency()


# Zeros.


def test_the_names_of_quantizations_are_those_of_the_exporter():
    names = (*QUANTIZATIONS, "int4")
    assert tuple(export._IO_DTYPES) == quantizations.QUANTIZATIONS == names


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_zeros_of_the_model_are_zeros_of_the_file(K, quantization):
    model = cnn(K)
    zeros = sparsify(model)

    report = kpk.export_tflite(
        model, quantization=quantization, representative_data=images(20)
    ).sparsity_report()

    found = zeros_by_shape(report)
    assert found.keys() == zeros.keys()
    if quantization == "none":
        assert found == zeros
    assert all(found[shape] >= zeros[shape] for shape in zeros)
    assert 0.7 < report.sparsity < 0.9
    assert json.loads(json.dumps(report.to_dict()))["weights"]


@pytest.mark.each_value
@pytest.mark.parametrize("quantization", ["none", "float16"])
def test_sparse_storage_loses_nothing(K, quantization):
    model, x = cnn(K), images(9)
    zeros = sparsify(model)
    dense = kpk.export_tflite(model, quantization=quantization)

    sparse = kpk.export_tflite(model, quantization=quantization, sparse_storage=True)

    assert len(sparse.bytes) < 0.8 * len(dense.bytes)
    assert zeros_by_shape(sparse.sparsity_report()) == zeros
    np.testing.assert_allclose(sparse.predict(x), dense.predict(x), atol=1e-5)


@pytest.mark.quick_in("keras")
def test_sparse_storage_that_drops_weights_is_refused(K):
    model = K.Sequential([K.layers.Input((3,)), K.layers.Dense(40)])
    sparsify(model)
    with pytest.raises(ExportError, match="nonzero weights the converter stored"):
        kpk.export_tflite(model, sparse_storage=True)


@pytest.mark.parametrize("quantization", ["dynamic", "int8", "int16x8"])
def test_sparse_storage_is_refused_with_quantized_weights(mlp, quantization):
    with pytest.raises(ValueError, match="'none' or 'float16'"):
        kpk.export_tflite(mlp(), quantization=quantization, sparse_storage=True)


def test_recurrent_kernels_inside_loops_are_counted():
    import keras

    model = keras.Sequential([keras.Input((6, 4)), keras.layers.LSTM(8)])
    zeros = sparsify(model)
    found = zeros_by_shape(kpk.export_tflite(model).sparsity_report())
    assert {shape: found.get(shape) for shape in zeros} == zeros


@pytest.mark.parametrize(
    ("tensor_type", "data", "values"),
    [
        ("INT4", [0x10, 0xF8], [0, 1, -8, -1]),
        ("UINT4", [0x10, 0xF8], [0, 1, 8, 15]),
        ("INT2", [0b11_10_01_00], [0, 1, -2, -1]),
        ("INT8", [0, 255], [0, -1]),
        ("FLOAT16", [0, 0, 0, 0x3C], [0, 1]),
    ],
)
def test_values_are_read_from_packed_bytes(tensor_type, data, values):
    number = getattr(fb.schema.TensorType, tensor_type)
    assert unpack_values(number, np.array(data, np.uint8)).tolist() == values


# Measuring.


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ([1, 0, 2], [[0, 9, 1], [0, 1, 0], [0, 0, 1]], 2 / 3),
        ([[1], [1]], [[0, 9], [3, 1]], 1 / 2),
        ([[0, 1], [1, 0]], [[0, 9], [3, 1]], 1),
        ([1, 0, 1], [[0.6], [0.2], [0.4]], 2 / 3),
        ([[1], [0]], [0.6, 0.7], 1 / 2),
        ([[0, 1]], [[[9, 1], [0, 9]]], 1),
    ],
)
def test_accuracy(y_true, y_pred, expected):
    assert accuracy(np.array(y_true), np.array(y_pred)) == pytest.approx(expected)


@pytest.mark.each_value
@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy_is_that_of_keras(K, mlp, data, one_hot):
    x, y = data
    model = mlp()
    model.fit(x, y, epochs=3, verbose=0)
    _, expected = model.evaluate(x, y, verbose=0)

    labels = np.eye(3)[y] if one_hot else y

    score = kpk.export_tflite(model).evaluate(x, labels)
    assert isinstance(score, float)
    assert score == pytest.approx(expected, abs=1e-6)


def test_any_metric_will_do(K):
    model, x = many_to_many(K), many_inputs(12)
    y = model.predict(x, verbose=0)
    exported = kpk.export_tflite(model)

    per_sample = exported.evaluate(x, y, metric=lambda t, p: np.abs(t - p).max(-1))
    by_keras = exported.evaluate(
        x, [a + 1 for a in y], metric=K.losses.mean_absolute_error
    )

    assert per_sample == pytest.approx([0, 0, 0], abs=1e-5)
    assert by_keras == pytest.approx([1, 1, 1], abs=1e-5)


@pytest.mark.quick_in("keras")
def test_latency_is_in_milliseconds(K):
    wide = K.Sequential([K.layers.Input((512,)), K.layers.Dense(4096)])
    narrow = K.Sequential([K.layers.Input((512,)), K.layers.Dense(16)])
    slow = kpk.export_tflite(wide).latency(runs=20)
    fast = kpk.export_tflite(narrow).latency(np.ones((3, 512)), runs=20)
    assert 0 < fast < slow < 1000


def test_compressed_size_is_that_of_the_file(mlp, tmp_path):
    exported = kpk.export_tflite(mlp(), tmp_path / "model.tflite")
    assert exported.gzip_bytes == kpk.gzip_bytes(tmp_path / "model.tflite")
    assert exported.gzip_bytes == kpk.gzip_bytes(exported)


# Files.


def test_a_file_is_whole_or_not_there(mlp, tmp_path, monkeypatch):
    exported = kpk.export_tflite(mlp(), tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").read_bytes() == exported.bytes

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        exported.save(tmp_path / "other.tflite")
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_the_same_model_gives_the_same_file(mlp):
    model = mlp()
    assert kpk.export_tflite(model).bytes == kpk.export_tflite(model).bytes


@pytest.mark.quick_in("keras")
def test_reading_a_file_needs_no_tensorflow(mlp, tmp_path):
    path = tmp_path / "model.tflite"
    kpk.export_tflite(mlp(), path)
    code = (
        "import sys, numpy as np, keras_prune_kit as kpk\n"
        f"print(kpk.TFLiteModel({str(path)!r}).predict(np.zeros((1, 8))).shape)\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.split("\n")[:2] == ["(1, 3)", "False False"]


def test_exporting_is_quiet(mlp, capsys, caplog):
    model, rng = mlp(), np.random.default_rng(0)
    level = logging.getLogger("absl").level
    kpk.export_tflite(
        model, quantization="int8", representative_data=rng.random((9, 8))
    )
    assert capsys.readouterr().out == ""
    assert caplog.records == []
    assert logging.getLogger("absl").level == level


def test_operators_left_in_float_are_named(K, caplog):
    class Exp(K.layers.Layer):
        def call(self, inputs):
            return tf.math.cumsum(inputs, axis=1)

    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(8), Exp()])
    kpk.export_tflite(model, quantization="int8", representative_data=np.ones((4, 8)))
    assert "computes these operators in float32" in caplog.text
    assert "CUMSUM" in caplog.text


# Representative data.

ONE = [ModelInput("x", (None, 2), "float32")]
TWO = [*ONE, ModelInput("ids", (None, 3), "int32")]
X = np.arange(12.0).reshape(6, 2)
IDS = np.arange(18).reshape(6, 3)


@pytest.mark.parametrize(
    "data",
    [
        X,
        [X],
        {"x": X},
        [X[:4], X[4:]],
        [(X[:4], np.zeros(4)), (X[4:], np.zeros(2))],
        iter([{"x": X}]),
        tf.data.Dataset.from_tensor_slices(X).batch(4),
        tf.data.Dataset.from_tensor_slices((X, np.zeros(6))).batch(4),
        lambda: ([row[np.newaxis]] for row in X),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_for_one_input(data):
    samples = representative_samples(data, ONE)
    assert [sample["x"].tolist() for sample in samples] == [[row] for row in X.tolist()]
    assert samples[0]["x"].dtype == "float32"


@pytest.mark.parametrize(
    "data",
    [
        [X, IDS],
        (X, IDS),
        {"ids": IDS, "x": X},
        [((X, IDS), np.zeros(6))],
        iter([[X[:4], IDS[:4]], [X[4:], IDS[4:]]]),
        tf.data.Dataset.from_tensor_slices(({"x": X, "ids": IDS}, X)).batch(4),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_for_two_inputs(data):
    samples = representative_samples(data, TWO)
    assert [sample["ids"].tolist() for sample in samples] == IDS[:, None].tolist()
    assert [sample["x"].tolist() for sample in samples] == X[:, None].tolist()


def test_no_more_samples_than_needed_and_evenly():
    data = np.arange(2000.0).reshape(1000, 2)
    samples = representative_samples(data, ONE)
    assert len(samples) == 200
    assert samples[0]["x"].tolist() == [data[0].tolist()]
    assert samples[-1]["x"].tolist() == [data[-1].tolist()]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((4, 3)), ValueError, r"\(n, 2\). Received: \(4, 3\)"),
        (np.zeros(2), ValueError, r"\(n, 2\). Received: \(2,\)"),
        (np.full((4, 2), np.nan), ValueError, "must be finite"),
        (iter([]), ValueError, "at least one sample"),
        ({"y": X}, ValueError, r"each of the inputs \['x'\].*'y'"),
        (7, TypeError, "iterable of batches. Received: int"),
    ],
)
def test_data_that_does_not_fit(data, error, message):
    with pytest.raises(error, match=message):
        representative_samples(data, ONE)


# Bad input.


def test_options_are_checked_before_converting(mlp, tmp_path):
    model = mlp()
    with pytest.raises(ValueError, match="one of .*int16x8.*Received: 'int3'"):
        kpk.export_tflite(model, quantization="int3")
    with pytest.raises(ValueError, match=r"one of \['float32', 'int8', 'uint8'\]"):
        kpk.export_tflite(model, quantization="int8", io_dtype="int16")
    with pytest.raises(ValueError, match="needs representative_data"):
        kpk.export_tflite(model, quantization="int8")
    with pytest.raises(ValueError, match=r"\(n, 8\). Received: \(5, 9\)"):
        kpk.export_tflite(
            model, quantization="int8", representative_data=np.zeros((5, 9))
        )
    with pytest.raises(FileNotFoundError, match="folder to write to"):
        kpk.export_tflite(model, tmp_path / "missing" / "model.tflite")
    with pytest.raises(IsADirectoryError, match="path to a file"):
        kpk.export_tflite(model, tmp_path)
    with pytest.raises(TypeError, match="model of keras"):
        kpk.export_tflite(["model"])


def test_models_that_are_not_built_are_refused(K):
    with pytest.raises(ValueError, match="is not built"):
        kpk.export_tflite(K.Sequential([K.layers.Dense(3)]))


def test_the_reason_of_a_failure_is_told(K):
    class Odd(K.layers.Layer):
        def call(self, inputs):
            return tf.math.igamma(inputs, inputs)

    inner = K.Sequential([K.layers.Input((4,)), Odd(name="gamma")], name="inner")
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(4), inner])
    message = "not built in: Igamma, in Odd 'inner/gamma'. Express"
    with pytest.raises(ExportError, match=message) as caught:
        kpk.export_tflite(model)
    assert caught.value.__cause__ is not None


def test_half_precision_is_told(K):
    dtype = {"dtype": "mixed_float16"}
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(3, **dtype)])
    with pytest.raises(ExportError, match="half precision"):
        kpk.export_tflite(model)


def test_damaged_files_are_refused(mlp, tmp_path):
    content = kpk.export_tflite(mlp()).bytes
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="does not accept the file .*model.tflite"):
        kpk.TFLiteModel(path)
    with pytest.raises(ValueError, match="TFL3"):
        kpk.TFLiteModel(b"not a model")
    with pytest.raises(FileNotFoundError, match="existing file"):
        kpk.TFLiteModel(tmp_path / "missing.tflite")
    with pytest.raises(TypeError, match="Received: int"):
        kpk.TFLiteModel(3)


@pytest.mark.quick_in("keras")
def test_data_that_does_not_fit_the_file(K):
    exported = kpk.export_tflite(many_to_many(K))
    x = many_inputs(6)
    with pytest.raises(ValueError, match=r"'z' must have shape \(n, 4\)"):
        exported.predict(x[::-1])
    with pytest.raises(ValueError, match="list of 3 arrays"):
        exported.predict(x[0])
    with pytest.raises(ValueError, match="same number of samples"):
        exported.predict([x[0], x[1], x[2][:3]])
    with pytest.raises(ValueError, match="each of the inputs"):
        exported.predict({"z": x[0]})
    with pytest.raises(ValueError, match="a list of 3"):
        exported.evaluate(x, np.zeros(6))
    with pytest.raises(ValueError, match="metric must be"):
        exported.evaluate(x, [np.zeros(6)] * 3, metric="auc")
    with pytest.raises(ValueError, match="Received: 5"):
        exported.evaluate(x, [np.zeros(5)] * 3)


@pytest.mark.quick_in("keras")
def test_columns_that_one_scale_hardly_tells_apart_are_told(K, caplog):
    """A table as people have them, normalized inside the model."""
    model = K.Sequential([K.layers.Input((3,)), K.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(64, 3)) * [2000, 0.01, 300]
    for quantization, told in (("int8", True), ("dynamic", False)):
        caplog.clear()
        data = {"representative_data": x} if told else {}
        kpk.export_tflite(model, quantization=quantization, **data)
        assert ("columns 1 vary by fewer than 8 steps" in caplog.text) is told


@pytest.mark.quick_in("keras")
def test_a_file_that_computes_something_else_is_told(K, caplog):
    """One scale for columns of two sizes: the file does not see what decides."""
    layer = K.layers.Dense(1, kernel_initializer=K.initializers.Constant(1.0))
    i = K.layers.Input((2,))
    model = K.Model(i, layer(i * np.float32([[0, 1]])))
    rng = np.random.default_rng(0)
    for size, told in ((2000.0, True), (2.0, False)):
        x = (rng.normal(size=(64, 2)) * [size, 1]).astype("float32")
        caplog.clear()
        file = kpk.export_tflite(model, quantization="int8", representative_data=x)
        off = np.abs(file.predict(x) - x[:, 1:]).mean() / np.abs(x[:, 1]).mean()
        assert ("does not reproduce" in caplog.text) is told is bool(off > 0.5)


@pytest.mark.quick_in("keras")
def test_vectors_that_point_elsewhere_are_told(K, caplog):
    """With a figure, though the mean error is below half of the mean deviation."""
    i = K.layers.Input((17,))
    layer = K.layers.Dense(16, kernel_initializer=K.initializers.Identity())
    model = K.Model(i, layer(i[:, 1:]))
    x = np.random.default_rng(0).normal(size=(64, 17)).astype("float32")
    for size, told in ((76, True), (20, False)):
        scaled = x * np.where(np.arange(17) == 0, size, 1).astype("float32")
        caplog.clear()
        file = kpk.export_tflite(model, quantization="int8", representative_data=scaled)
        got, wanted = file.predict(scaled), x[:, 1:]
        norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
        cosine = ((wanted * got).sum(1) / norms).mean()
        assert np.abs(got - wanted).mean() < 0.5 * np.abs(wanted).mean()
        assert bool(cosine < 0.95) is told
        found = re.findall(r"mean cosine to the model's is (\S+)\. ", caplog.text)
        # It is told of some of the samples.
        assert len(found) == told
        assert all(abs(float(figure) - cosine) < 0.02 for figure in found)


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_one_hot_rows_are_ones_and_zeros(quantization):
    """The converter's own int8 file says 0.5 for each zero."""
    import keras

    i = keras.Input((1,), dtype="int32")
    model = keras.Model(i, keras.ops.one_hot(i, 6))
    x = np.arange(6, dtype="int32")[:, None]

    file = kpk.export_tflite(model, quantization=quantization, representative_data=x)

    np.testing.assert_allclose(file.predict(x)[:, 0], np.eye(6), atol=0.01)


def test_a_stateful_layer_begins_at_zeros_in_a_file(K):
    """Whatever it remembers when it is exported; and it goes on remembering."""
    x = np.random.default_rng(0).normal(size=(1, 6, 4)).astype("float32")
    i = K.layers.Input(batch_shape=(1, 6, 4))
    model = K.Model(i, K.layers.GRU(8, stateful=True)(i))
    truth = model.predict(x, verbose=0)
    after = model.predict(9 * x, verbose=0)

    file = kpk.export_tflite(model)

    np.testing.assert_allclose(file.predict(x), truth, atol=1e-5)
    state = model.layers[-1].states[0]
    np.testing.assert_allclose(np.asarray(state), after, atol=1e-6)
