"""What `fit` takes `compress`, `compare` and a search take, and paths are models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import slow

import keras_prune_kit as kpk


@pytest.fixture
def trained(mlp, data):
    model = mlp()
    model.fit(*data, epochs=1, verbose=0)
    return model


def tensors(data):
    return tuple(map(tf.constant, data))


def frames(data):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(data[0]), pandas.Series(data[1])


class Foreign:
    """An array of a library that is not installed: numpy can read it, that is all."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


def foreign(data):
    return tuple(map(Foreign, data))


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    "form", [tensors, slow(frames), slow(foreign)], ids=lambda f: f.__name__
)
def test_compress_measures_the_same_whatever_holds_the_data(trained, data, form):
    options = {"policy": 0.5, "epochs": 1, "quantization": "none", "verbose": 0}
    x, y = form(data)
    wanted = kpk.compress(trained, data, validation_data=data, **options)

    got = kpk.compress(trained, (x, y), validation_data=(x, y), **options)

    scores = [[m.scores for m in r.comparison.measurements] for r in (wanted, got)]
    assert scores[1][0] == scores[0][0]  # the baseline's, which no training changes
    assert got.sparsity_report.zeros == wanted.sparsity_report.zeros


@pytest.mark.quick_in("keras")
def test_compare_takes_tensors(trained, data):
    wanted, got = (
        kpk.compare({"model": trained}, *form, latency_runs=0)
        for form in (data, tensors(data))
    )
    assert got.measurements[0].scores == wanted.measurements[0].scores


def test_a_search_takes_tensors(data, tmp_path):
    import keras_tuner

    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data, epochs=1, verbose=0)
    hyper = kpk.CompressionHyperModel(
        model, quantization=("none",), max_accuracy_drop=0.5, groups=1
    )
    tuner = keras_tuner.RandomSearch(hyper, max_trials=1, directory=tmp_path, seed=1)
    x, y = tensors(data)

    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)

    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"]


def test_ragged_tensors_are_refused_in_one_sentence(trained, data):
    ragged = tf.RaggedTensor.from_row_lengths(data[0].ravel(), [8] * 128)
    with pytest.raises(TypeError, match=r"RaggedTensor.*to_tensor\(\)"):
        kpk.compress(trained, (ragged, data[1]), validation_data=data, epochs=1)


@pytest.mark.quick_in("keras")
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("ending", [".keras", slow(".h5")])
def test_the_path_of_a_model_is_a_model(trained, data, tmp_path, ending):
    path = tmp_path / f"model{ending}"
    trained.save(path)

    assert kpk.sparsity_report(path).size == 8 * 16 + 16 * 3
    assert str(kpk.PrunePolicy(0.5).plan(path)) == str(
        kpk.PrunePolicy(0.5).plan(trained)
    )
    np.testing.assert_allclose(
        kpk.export_tflite(path).predict(data[0]),
        trained.predict(data[0], verbose=0),
        atol=1e-6,
    )
    report = kpk.compress(
        path, data, validation_data=data, policy=0.5, epochs=1, verbose=0
    )
    assert report.sparsity_report.zeros == 64 + 24
    accuracy = trained.evaluate(*data, verbose=0, return_dict=True)["accuracy"]
    assert report.comparison.measurements[0].scores["accuracy"] == accuracy
    assert len(kpk.quantize_aware(path).report.layers) == 2
    np.testing.assert_array_equal(
        kpk.soft_targets(path, data)[1], kpk.soft_targets(trained, data)[1]
    )
    policy = kpk.allocate(path, 0.5)
    assert policy.to_dict() == kpk.allocate(trained, 0.5).to_dict()


def test_a_path_that_is_no_model_says_so(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(FileNotFoundError, match="no such file"):
        kpk.export_tflite(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="whole model is needed"):
        kpk.sparsity_report(path)
