"""Rows of models and of files measure the same, whatever Keras does beside it."""

import numpy as np
import pytest

import keras_prune_kit as kpk


def scores_of(model, x, y):
    entries = {"model": model, "file": kpk.export_tflite(model)}
    rows = kpk.compare(entries, x, y, latency_runs=0).measurements
    return [row.scores for row in rows]


def test_a_loss_is_that_of_the_predictions_without_penalties(K):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 6)).astype("float32")
    y = 2 * x[:, :1] - x[:, 1:2]
    penalty = K.regularizers.L2(0.1)
    model = K.Sequential(
        [K.layers.Input((6,)), K.layers.Dense(8, kernel_regularizer=penalty)]
        + [K.layers.Dense(1)]
    )
    model.compile("adam", "mse")
    right = float(np.mean((model.predict(x, verbose=0) - y) ** 2))

    for scores in scores_of(model, x, y):
        assert scores["loss"] == pytest.approx(right, rel=1e-4)


@pytest.mark.quick_in("tf_keras")
def test_padding_counts_in_no_row(K):
    """A tag for each token: what is padding is left out, as Keras leaves it out."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 12, (128, 8)).astype("int32")
    x[np.arange(8) >= rng.integers(2, 9, 128)[:, None]] = 0
    y = (x > 5).astype("int64")
    y[x == 0] = 1
    i = K.layers.Input((8,), dtype="int32")
    h = K.layers.Embedding(12, 4, mask_zero=True)(i)
    h = K.layers.LSTM(4, return_sequences=True)(h)
    model = K.Model(i, K.layers.Dense(2, activation="softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    hits = model.predict(x, verbose=0).argmax(-1) == y
    right = float(hits[x != 0].mean())

    for scores in scores_of(model, x, y):
        assert scores["accuracy"] == pytest.approx(right, abs=1e-6)
    assert abs(right - hits.mean()) > 0.01
