"""Weights of 4 bits in bytes: the same values, at the speed of 8 bits."""

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.tflite.constants import constants

X = np.random.default_rng(0).normal(size=(16, 9, 7, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((9, 7, 3)),
            layers.Conv2D(5, 3, activation="relu"),  # an odd number of weights
            layers.DepthwiseConv2D(3),
            layers.Conv2D(8, 1),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def quantized(model, weight_bits):
    copied, _ = kpk.quantize_aware(model, weight_bits=weight_bits)
    copied.compile("sgd", "mse")
    copied.fit(X, copied.predict(X, verbose=0), verbose=0)
    return copied


def kernels(tflite):
    return [each for each in constants(tflite.bytes) if each.is_weight]


@pytest.mark.parametrize("weight_bits", [4, 3, 2])
def test_convolutions_get_bytes_and_keep_their_values(model, weight_bits):
    trained = quantized(model, weight_bits)
    packed = kpk.export_tflite(trained, quantization="int8")
    whole = packed.unpacked()
    found = [(each.dtype, each.shape[0]) for each in kernels(packed)]
    assert sorted(found) == [("int4", 1), ("int4", 4), ("int4", 5), ("int4", 8)]
    found = [(each.dtype, each.shape[0]) for each in kernels(whole)]
    assert sorted(found) == [("int4", 4), ("int8", 1), ("int8", 5), ("int8", 8)]
    for one, other in zip(kernels(packed), kernels(whole), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    # Two of LiteRT's kernels round layer by layer, each in its way; neither is worse.
    wanted = trained.predict(X, verbose=0)
    error, before = (np.abs(f.predict(X) - wanted).mean() for f in (whole, packed))
    assert error < 1.2 * before and before < 0.05 * wanted.std()
    assert len(whole.bytes) > len(packed.bytes)


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_a_file_without_packed_weights_on_integers_stays(model, quantization):
    data = {} if quantization == "none" else {"representative_data": X}
    tflite = kpk.export_tflite(model, quantization=quantization, **data)
    assert tflite.unpacked() is tflite
