"""A search by KerasTuner for the best file of a model of JAX or torch."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.worker.client import client

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 8)).astype("float32")
Y = ((X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)).astype("int64")


@pytest.fixture(scope="module")
def model():
    layers = [keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(X, Y, epochs=3, verbose=0)
    return model


def test_trials_train_here_and_share_one_child(model, tmp_path):
    hypermodel = kpk.CompressionHyperModel(
        model, quantization=("none", "int8"), representative_data=X
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective=kpk.smallest_within(0.5),
        max_trials=3,
        seed=1,
        directory=tmp_path,
    )
    children = []

    class Noting(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            children.append(client.child)

    tuner.search(
        *(X, Y), validation_data=(X, Y), epochs=1, verbose=0, callbacks=[Noting()]
    )
    assert len(set(map(id, children[1:]))) == 1  # The first trial started it.
    front = kpk.pareto_front(tuner)
    assert len(tuner.oracle.trials) == 3
    best = front.smallest_within(accuracy_drop=0.5)  # As the objective says.
    exported = kpk.TFLiteModel(best.folder / "model.tflite")
    assert exported.gzip_bytes == best.gzip_bytes
    accuracy = np.mean(exported.predict(X).argmax(-1) == Y)
    assert best.accuracy == pytest.approx(accuracy)
    kept = tuner.get_best_models()[0]
    predicted = kept.predict(X, verbose=0)
    assert np.abs(exported.predict(X) - predicted).max() < 0.1


def test_quantization_aware_trials_are_refused_before_the_search(model):
    with pytest.raises(ValueError, match="Received: .* on the backend '(torch|jax)'"):
        kpk.CompressionHyperModel(model, quantization=("qat4",))
