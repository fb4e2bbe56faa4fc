"""What calibration and the kernels of integers get wrong, and is mended before."""

import keras
import numpy as np
import pytest
import tf_keras

import keras_prune_kit as kpk


def test_the_cells_of_an_lstm_are_not_clipped():
    """Up 30 times and down as often: Keras is where it was."""
    layer = tf_keras.layers.LSTM(1)
    model = tf_keras.Sequential([tf_keras.Input((60, 1)), layer])
    kernel, bias = [[0, 0, 5, 0]], [10, 10, 0, 10]
    model.set_weights([np.array(kernel), np.zeros((1, 4)), np.array(bias)])
    x = np.repeat([1.0, -1.0], 30).reshape(1, 60, 1).astype("float32")
    expected = model.predict(x, verbose=0)
    assert abs(expected.item() + 0.0408) < 1e-4
    for quantization in ("none", "float16", "dynamic"):
        file = kpk.export_tflite(model, quantization=quantization)
        np.testing.assert_allclose(file.predict(x), expected, 0, 1e-4)


@pytest.mark.each_value
@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_an_lstm_that_counts(quantization, is_bidirectional):
    """Up to 35, and down to 8 or more: from 10 it would get below zero."""
    layer = tf_keras.layers.LSTM(2, return_sequences=False)
    if is_bidirectional:
        layer = tf_keras.layers.Bidirectional(layer)
    model = tf_keras.Sequential([tf_keras.Input((40, 1)), layer])
    kernel = np.array([[0.1, 0.1, 0.1, 0.1, 5, -5, 0.1, 0.1]])
    bias = np.array([10, 10, 10, 10, 0, 0, 10, 10])
    weights = [kernel, 0.01 * np.ones((2, 8)), bias]
    model.set_weights(weights * (2 if is_bidirectional else 1))
    steps = np.arange(40)
    x = np.stack([np.where(steps < n, 1.0, -1.0) for n in range(24, 36)])
    x = x[..., None].astype("float32")
    data = {"representative_data": x} if quantization == "int8" else {}
    file = kpk.export_tflite(model, quantization=quantization, **data)
    error = np.abs(file.predict(x) - model.predict(x, verbose=0)).max()
    assert error < (1e-4 if quantization == "none" else 0.05)


@pytest.mark.each_value
@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_what_comes_of_the_first_state_of_an_lstm(K, is_bidirectional):
    """Nothing but zeros, whose range was so small that no interpreter ran the file."""
    layers = K.layers
    inputs = K.Input((6,), dtype="int32")
    hidden = layers.Embedding(20, 8, mask_zero=True)(inputs)
    layer = layers.LSTM(4, unroll=True)
    if is_bidirectional:
        layer = layers.Bidirectional(layer)
    outputs = layers.Dense(1, activation="sigmoid")(layer(hidden))
    model = K.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) * 0.7 for w in model.get_weights()])
    x = rng.integers(1, 20, (100, 6)).astype("int32")
    x[np.arange(6) >= rng.integers(2, 7, 100)[:, None]] = 0
    file = kpk.export_tflite(model, quantization="int8", representative_data=x)
    assert np.abs(file.predict(x) - model.predict(x, verbose=0)).max() < 0.06


def test_a_bias_behind_nothing_but_zeros():
    """In steps of a range of zeros a bias has no room."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(4, activation="relu", bias_initializer="zeros")
    outputs = keras.layers.Dense(2)
    model = keras.Model(inputs, outputs(hidden(inputs)))
    hidden.set_weights([-np.ones((4, 4)), np.zeros(4)])
    outputs.set_weights([np.ones((4, 2)), np.array([3.0, -2.0])])
    x = np.random.default_rng(0).random((50, 4)).astype("float32")
    for quantization in ("int8", "int16x8"):
        file = kpk.export_tflite(
            model, quantization=quantization, representative_data=x
        )
        np.testing.assert_allclose(file.predict(x), [[3.0, -2.0]] * 50, 0, 0.03)


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_layer_normalization(K, quantization):
    inputs = K.Input((8,))
    model = K.Model(inputs, K.layers.LayerNormalization()(inputs))
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    file = kpk.export_tflite(model, quantization=quantization, representative_data=x)
    error = np.abs(file.predict(x) - model.predict(x, verbose=0)).max()
    assert error < {"int8": 0.1, "int16x8": 0.03}[quantization]


def test_ids_in_a_table_are_those_of_the_table(K):
    """A column of ids beside one of real numbers, embedded: each id has its own row."""
    layers = K.layers
    inputs = layers.Input((3,))
    rows = layers.Embedding(50, 1)(inputs[:, 0])
    model = K.Model(inputs, layers.Concatenate()([rows, inputs[:, 1:]]))
    table = np.linspace(-1, 1, 50)[np.random.default_rng(0).permutation(50)][:, None]
    model.set_weights([table])
    rng = np.random.default_rng(1)
    x = np.stack([np.arange(50), rng.normal(size=50), rng.normal(size=50)], 1)

    # An Embedding of Keras 3 has no int16x8 file, which says so.
    for quantization in ("int8", "int16x8")[: 1 + (K is tf_keras)]:
        file = kpk.export_tflite(
            model, quantization=quantization, representative_data=x
        )
        np.testing.assert_allclose(file.predict(x)[:, :1], table, atol=0.02)


def test_numbers_of_categories_are_their_own():
    inputs = keras.Input((1,), dtype="int32")
    encoded = keras.layers.CategoryEncoding(10, output_mode="one_hot")(inputs)
    model = keras.Model(inputs, encoded)
    x = np.arange(10, dtype="int32")[:, None]

    file = kpk.export_tflite(model, quantization="int8", representative_data=x)

    np.testing.assert_allclose(file.predict(x), np.eye(10), atol=0.01)
