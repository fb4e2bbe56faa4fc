"""Slices that add axes are exported, whatever sizes are unknown."""

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk

FORMS = {
    "x[:, None]": lambda x: x[:, None],
    "x[..., None]": lambda x: x[..., None],
    "x[:, None, None, :, None, ::2]": lambda x: x[:, None, None, :, None, ::2],
    "x[:, 1:, None]": lambda x: x[:, 1:, None],
    "x[:, 0, None]": lambda x: x[:, 0, None],
    "x[..., None, 1, None]": lambda x: x[..., None, 1, None],
    "x[:, None, -1, None]": lambda x: x[:, None, -1, None],
    "x[:, None, ..., None, 1:, None]": lambda x: x[:, None, ..., None, 1:, None],
}


class Sliced(keras.layers.Layer):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def call(self, inputs):
        return FORMS[self.form](inputs) * 2.0


@pytest.mark.parametrize("form", FORMS)
def test_axes_are_added_where_sizes_are_unknown(form):
    inputs = keras.Input((None, None))
    model = keras.Model(inputs, Sliced(form)(inputs))
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    file = kpk.export_tflite(model)
    np.testing.assert_array_equal(file.predict(x), 2 * FORMS[form](x))


def test_axes_are_added_in_int8():
    inputs = keras.Input((None, 4))
    hidden = keras.layers.Dense(6)(inputs)
    outputs = keras.layers.Dense(2)(Sliced("x[:, None]")(hidden))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(64, 5, 4)).astype("float32")
    file = kpk.export_tflite(model, quantization="int8", representative_data=x)
    expected = model.predict(x, verbose=0)
    assert np.abs(file.predict(x) - expected).max() < 0.04 * np.abs(expected).max()


def test_bounds_that_are_computed_are_left_to_the_converter():
    class Tail(keras.layers.Layer):
        def call(self, inputs):
            return inputs[:, keras.ops.shape(inputs)[1] // 2 :, None] * 2.0

    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, Tail()(inputs))
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
    file = kpk.export_tflite(model)
    np.testing.assert_array_equal(file.predict(x), 2 * x[:, 3:, None])
