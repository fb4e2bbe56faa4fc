"""The int8 file of a model that was trained quantized computes what the model does."""

import keras
import numpy as np
import pytest
import qat_models
from keras import layers as L
from marks import slow
from test_quantization import outputs_of, sample, settle

import keras_prune_kit as kpk

# In standard deviations of the outputs, on average. Operators round once more than the
# model: that gives 0.00 to 0.03 here. Files that computed something else were at 0.1 to
# 0.7, but for one at 0.04.
TOLERANCE = 0.05


def off(model):
    """How far the file's outputs are from the model's, in their standard deviations."""
    x = sample(model, count=64)
    quantized = settle(kpk.quantize_aware(model).model, x)
    exported = kpk.export_tflite(quantized, quantization="int8")
    found = keras.tree.flatten(exported.predict(x))
    pairs = zip(found, outputs_of(quantized, x), strict=True)
    return max(float(np.abs(a - b).mean() / b.std()) for a, b in pairs)


def apply(layers, x):
    for layer in layers:
        x = layer(x)
    return x


@pytest.mark.each_value
@pytest.mark.parametrize("name", qat_models.ZOO)
def test_every_architecture(name):
    assert off(qat_models.ZOO[name]()) < TOLERANCE


@pytest.mark.each_value
@pytest.mark.parametrize(
    "before",
    [
        [L.Conv2D(4, 3), L.BatchNormalization()],
        [L.Conv2D(4, 3, activation="gelu")],
        [L.Rescaling(0.5), L.MaxPooling2D()],
    ],
)
def test_an_activation_behind_a_pooling(before):
    """The converter makes one operator of the two, which has one range."""
    x = inputs = L.Input((16, 16, 3))
    x = L.ReLU()(L.MaxPooling2D()(apply(before, x)))
    assert off(keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))) < TOLERANCE


@pytest.mark.each_value
@pytest.mark.parametrize("join", [L.Concatenate, L.Maximum, slow(L.Minimum)])
def test_a_pooling_behind_parts_of_different_ranges(join):
    """As in SqueezeNet, but for the ranges."""
    inputs = L.Input((8, 8, 3))
    parts = [L.Conv2D(4, 1, activation="relu")(inputs), L.Conv2D(4, 1)(inputs)]
    x = L.MaxPooling2D()(join()(parts))
    assert off(keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))) < TOLERANCE


class Sines(keras.layers.Layer):
    def call(self, x):
        return keras.ops.concatenate([x, 10 * keras.ops.sin(x)], -1)


@pytest.mark.each_value
@pytest.mark.parametrize(
    "bring_together",
    [
        lambda x, y: Sines()(y),
        slow(lambda x, y: L.Reshape((8, 8, 8))(keras.ops.stack([x, y], -1))),
        lambda x, y: keras.ops.where(y > 0, x, y),
        lambda x, y: L.Concatenate()([L.LayerNormalization()(y), L.Rescaling(9.0)(x)]),
        lambda x, y: L.Maximum()([L.Conv2D(4, 1, activation="elu")(y), x]),
    ],
)
def test_what_stays_float_takes_parts_of_any_range(bring_together):
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(4, 1, activation="sigmoid")(inputs)
    x = bring_together(x, L.Conv2D(4, 1)(inputs))
    assert off(keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))) < TOLERANCE


def test_others_do_not_get_the_range_of_a_minimum():
    inputs = L.Input((8, 8, 3))
    cropped = L.Cropping2D(1)(L.Rescaling(2.0)(inputs))
    least = L.Minimum()([cropped, L.Conv2D(3, 1, activation="sigmoid")(cropped)])
    x = L.Flatten()(L.Subtract()([least, cropped]))
    assert off(keras.Model(inputs, L.Dense(3)(x))) < TOLERANCE


@pytest.mark.each_value
@pytest.mark.parametrize("behind", ["relu", "concatenate"])
@pytest.mark.parametrize(
    ("shape", "before", "average"),
    [
        slow((8, 8, 3), lambda: L.Permute((2, 1, 3)), lambda: L.AveragePooling2D(2)),
        ((8, 8, 3), lambda: L.ZeroPadding2D(), lambda: L.AveragePooling2D(2)),
        ((8, 8, 3), lambda: L.AveragePooling2D(2), lambda: L.AveragePooling2D(2)),
        ((8, 8, 3), lambda: L.Dropout(0.1), lambda: L.AveragePooling2D(2)),
        slow((16, 3), lambda: L.Conv1D(4, 3), lambda: L.AveragePooling1D(2)),
        ((16, 3), lambda: L.Conv1D(4, 3), lambda: L.AveragePooling1D(3, 2, "same")),
    ],
)
def test_what_is_behind_an_average_cuts_nothing_off_before_it(
    shape, before, average, behind
):
    x = inputs = L.Input(shape)
    x = before()(x)
    if behind == "relu":
        x = L.ReLU()(average()(x))
    else:
        x = L.Concatenate()([average()(x), average()(x)])
    assert off(keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))) < TOLERANCE


def test_a_layer_that_gives_nothing_but_zeros():
    inputs = L.Input((8,))
    never = keras.initializers.Constant(-100.0)
    dead = L.Dense(6, activation="relu", bias_initializer=never)(inputs)
    shift = L.Dense(3, bias_initializer=keras.initializers.Constant(2.0))(dead)
    x = L.Add()([L.Dense(3)(inputs), shift])
    assert off(keras.Model(inputs, x)) < TOLERANCE
