"""Export and compression of a model of JAX or torch."""

import re
import sys
import time

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.progress_lines import ProgressLines
from other_backends import parts

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 8)).astype("float32")
Y = ((X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)).astype("int64")


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, "softmax"),
        ],
        name="three",
    )
    metrics = ["accuracy"]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics)
    model.fit(X, Y, epochs=10, verbose=0)
    return model


@pytest.fixture(scope="module")
def report(model, tmp_path_factory):
    diary = tmp_path_factory.mktemp("diary") / "diary.txt"
    report = kpk.compress(
        model,
        (X, Y),
        validation_data=(X, Y),
        policy=0.5,
        epochs=3,
        verbose=0,
        callbacks=[parts.Diary(str(diary))],
    )
    return report, diary.read_text()


def worker():
    from keras_prune_kit.worker.client import client

    return client.child


def test_the_file_computes_what_the_model_does(model, tmp_path):
    wanted = model.predict(X, verbose=0)
    errors = {"none": 1e-6, "float16": 2e-3, "dynamic": 0.02, "int8": 0.05}
    for quantization, error in errors.items():
        exported = kpk.export_tflite(
            model,
            tmp_path / "model.tflite",
            quantization=quantization,
            representative_data=X,
        )
        assert np.abs(exported.predict(X) - wanted).max() < error
        assert (tmp_path / "model.tflite").read_bytes() == exported.bytes


@pytest.mark.slow
def test_all_options_of_an_export_work(model):
    wanted = model.predict(X, verbose=0)
    data = {"representative_data": X}
    integers = kpk.export_tflite(model, quantization="int8", io_dtype="int8", **data)
    assert integers.inputs[0].dtype == "int8"
    assert np.abs(integers.predict(X) - wanted).max() < 0.05
    wide = kpk.export_tflite(model, quantization="int16x8", **data)
    assert np.abs(wide.predict(X) - wanted).max() < 0.05
    sparse = kpk.export_tflite(model, sparse_storage=True)
    np.testing.assert_allclose(sparse.predict(X), wanted, atol=1e-6)


def test_the_stages_of_the_child_are_heard_here(model):
    lines = []
    heard = ProgressLines(lines.append)
    with progress.listening(heard.stage, heard.tell):
        progress.tell("here")
        exported = kpk.export_tflite(model, quantization="int8", representative_data=X)
        exported.predict(X)
    kpk.export_tflite(model)  # Nobody listens any more.
    told = [re.sub(r" *[\d.]+ s  | \([\d.]+ s\)", "", line) for line in lines]
    # In the child, and then here.
    assert told == ["here", "converting", *2 * ["running the .tflite"]]


def test_a_job_in_the_child_tells_what_is_left_of_it(model, capsys):
    data = {"validation_data": (X, Y), "quantization": "none"}
    kpk.compress(model, (X, Y), epochs=2, verbose=2, **data)
    out = capsys.readouterr().out
    assert "s  2 epochs, then the float32 file and its measurement\n" in out
    assert re.search(r"s  pruning, epoch 2/2 \([\d.]+ s\)\n", out)
    assert re.search(r"s  measuring \([\d.]+ s\)\n", out)


def test_the_child_stays_warm_and_tensorflow_stays_there(model):
    kpk.export_tflite(model)
    child, start = worker(), time.perf_counter()
    exported = kpk.export_tflite(model)
    assert worker() is child
    assert time.perf_counter() - start < 5
    accuracy = np.mean(model.predict(X, verbose=0).argmax(-1) == Y)
    assert exported.evaluate(X, Y) == pytest.approx(accuracy)
    compared = kpk.compare({"file": exported}, X, Y, latency_runs=2)
    assert compared.measurements[0].score == pytest.approx(accuracy)
    assert compared.measurements[0].gzip_bytes == kpk.gzip_bytes(exported)
    assert exported.sparsity_report().zeros == 0
    assert 0 < kpk.entropy_bound(exported).bound_bytes < len(exported.bytes)
    assert "tensorflow" not in sys.modules


def test_own_classes_and_functions_are_imported_there():
    inputs = {"a": keras.Input((8,), name="a"), "b": keras.Input((8,), name="b")}
    hidden = keras.layers.Dense(6, activation=parts.bent)(inputs["a"])
    hidden = parts.Shifted()(parts.Scaled(3.0)(hidden))
    hidden = keras.layers.Lambda(parts.halved)(hidden)
    hidden = keras.layers.Lambda(lambda tensor: tensor * 3.0)(hidden)
    side = keras.layers.Dense(6, name="side")(inputs["b"])
    outputs = {"sum": keras.layers.Add()([hidden, side]), "side": side}
    model = keras.Model(inputs, outputs)
    data = {"a": X, "b": X[::-1].copy()}
    wanted = model.predict(data, verbose=0)
    exported = kpk.export_tflite(model)
    assert [item.name for item in exported.inputs] == ["a", "b"]
    names = [item.name for item in exported.outputs]
    names = [item.name for item in exported.outputs]
    got = dict(zip(names, exported.predict(data), strict=True))
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, atol=1e-5)


def test_compress_gives_a_model_of_this_backend(model, report):
    report, diary = report
    assert diary.splitlines()[0].startswith("tensorflow 0 ['accuracy', 'loss', ")
    assert len(diary.splitlines()) == 3
    assert report.model.count_params() == model.count_params()
    assert report.model.jit_compile == model.jit_compile
    # One ranking of all kernels.
    kernels = [w for w in report.model.get_weights() if w.ndim > 1]
    zeros = sum(int(np.sum(np.asarray(kernel) == 0)) for kernel in kernels)
    assert zeros == sum(kernel.size // 2 for kernel in kernels)
    predicted = report.model.predict(X, verbose=0)
    assert np.abs(report.tflite.predict(X) - predicted).max() < 0.05
    scores = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert report.baseline.score == pytest.approx(scores["accuracy"])
    after = report.model.evaluate(X, Y, verbose=0, return_dict=True)
    assert report.stages[2].score == pytest.approx(after["accuracy"])
    losses = report.model.fit(X, Y, epochs=9, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert "pruned + int8" in str(report)
    assert "tensorflow" not in sys.modules


def test_compress_without_training(model):
    options = {"policy": 0.5, "epochs": 0, "quantization": "none"}
    report = kpk.compress(model, X, validation_data=(X, Y), **options)
    expected = kpk.prune_at_once(model, 0.5, data=X)
    kpk.reestimate_batch_norm(expected, model, data=X)
    pairs = zip(report.model.get_weights(), expected.get_weights(), strict=True)
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_compile_of_ones_own_goes_along(capsys):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    model.compile(
        keras.optimizers.AdamW(rate),
        parts.squared_error,
        metrics=[parts.worst_error],
    )
    y = X[:, :2] * 2
    model.fit(X, y, epochs=2, verbose=0)
    before = model.get_weights()
    report = kpk.compress(
        model,
        (X, y),
        validation_data=(X, y),
        epochs=2,
        verbose=2,
        quantization="none",
        objective="worst_error",
        mode="min",
    )
    assert "worst_error" in capsys.readouterr().out  # the lines of fit
    wanted = np.abs(report.model.predict(X, verbose=0) - y).max(-1).mean()
    assert report.final.score == pytest.approx(wanted, rel=1e-4)
    assert report.model.loss is parts.squared_error
    assert type(report.model.optimizer).__module__ == type(model.optimizer).__module__
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


class Halves(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(64 * index, 64 * index + 64)
        return X[part], Y[part]


@pytest.mark.slow
def test_datasets_go_as_their_batches(model):
    options = {"epochs": 1, "verbose": 0, "quantization": "dynamic"}
    report = kpk.compress(model, Halves(), validation_data=Halves(), **options)
    predicted = report.tflite.predict(X).argmax(-1)
    assert report.final.score == pytest.approx(np.mean(predicted == Y))
    if BACKEND != "torch":
        return
    import torch

    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    loader = torch.utils.data.DataLoader(pairs, batch_size=32)
    report = kpk.compress(model, loader, validation_data=loader, **options)
    predicted = report.tflite.predict(X).argmax(-1)
    assert report.final.score == pytest.approx(np.mean(predicted == Y))
    exported = kpk.export_tflite(model, quantization="int8", representative_data=loader)
    wanted = model.predict(X, verbose=0)
    assert np.abs(exported.predict(X) - wanted).max() < 0.05
    tensors = torch.tensor(X), torch.tensor(Y)
    again = kpk.compress(model, tensors, validation_data=tensors, **options)
    assert again.baseline.score == report.baseline.score


@pytest.mark.slow
def test_the_smallest_file_is_trained_quantization_aware_there(model):
    report = kpk.compress(
        model,
        (X, Y),
        validation_data=(X, Y),
        target="smallest",
        max_accuracy_drop=0.3,
        epochs=4,
        verbose=0,
    )
    assert "QAT" in report.final.name
    predicted = report.model.predict(X, verbose=0)
    agree = np.mean(report.tflite.predict(X).argmax(-1) == predicted.argmax(-1))
    assert agree > 0.95


@pytest.mark.slow
def test_fewer_channels_leave_a_smaller_model_of_this_backend(model):
    report = kpk.compress(
        model, (X, Y), validation_data=(X, Y), macs=0.5, epochs=2, verbose=0
    )
    assert report.final.macs <= 0.5 * report.baseline.macs
    assert report.model.count_params() < model.count_params()
    predicted = report.model.predict(X, verbose=0)
    assert np.abs(report.tflite.predict(X) - predicted).max() < 0.05


def test_quantize_aware_says_what_to_do(model):
    # Keras itself imports it where a layer is copied, as an earlier test does.
    is_there = "tensorflow" in sys.modules
    with pytest.raises(ValueError, match=re.escape("target='smallest'")):
        kpk.quantize_aware(model)
    assert ("tensorflow" in sys.modules) == is_there


def test_a_model_is_exported_amid_its_training():
    """The constraint of a pruner is no part of what is sent."""
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    model.compile("adam", "mse")
    errors, sparsities = [], []

    class Exporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            exported = kpk.export_tflite(self.model)
            wanted = self.model.predict(X, verbose=0)
            errors.append(np.abs(exported.predict(X) - wanted).max())
            sparsities.append(exported.sparsity_report().sparsity)

    callbacks = [kpk.PruningCallback(0.5), Exporting()]
    model.fit(X, X[:, :4], epochs=2, verbose=0, callbacks=callbacks)
    assert max(errors) < 1e-5
    assert sparsities[-1] == 0.5
