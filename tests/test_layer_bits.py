"""Bits for each layer its own, in training, without training and in files."""

import keras
import models
import numpy as np
import pytest
import qat_models
import tf_keras
from test_rounding_at_once import (
    assert_training_begins_with,
    kernels_of,
    pictures,
    random,
)

import keras_prune_kit as kpk
from keras_prune_kit.policies import bits_of_layers
from keras_prune_kit.tflite import constants

MIXED = {".*": 3, "plain|middle": 2, "top": 8}
OF_PICTURES = {
    "normalized": 3,
    "plain": 2,
    "separable": 3,
    "wide": 3,
    "middle": 2,
    "top": 8,
}


def values_of(kernel):
    return np.unique(np.asarray(kernel))


def wrapped(model):
    """The bits of each quantization-aware layer, by name."""
    return {
        layer.name: layer.weight_bits
        for layer in model._flatten_layers()
        if hasattr(layer, "weight_bits")
    }


class TestWhichLayer:
    def bits(self, weight_bits, model=None):
        model = model or qat_models.cnn()
        found = bits_of_layers(model, weight_bits)
        return [found.of(layer) for layer in model.layers if layer.weights]

    @pytest.mark.parametrize(
        ("weight_bits", "expected"),
        [
            (3, [3, 3, 3, 3]),
            ({}, [8, 8, 8, 8]),
            ({".*": 3, "classifier": 8}, [3, 3, 3, 8]),
            ({"classifier": 8, ".*": 3}, [3, 3, 3, 3]),  # The later wins.
            ({"second": 2}, [8, 2, 8, 8]),  # All others have 8.
            ({keras.layers.Dense: 4}, [8, 8, 4, 4]),
            ({keras.layers.Dense: 4, "third": 6}, [8, 8, 6, 4]),
            ({("first", keras.layers.Dense): 2}, [2, 8, 2, 2]),
            ({lambda layer: layer.name.endswith("d"): 5}, [8, 5, 5, 8]),
        ],
    )
    def test_the_last_key_that_covers_it(self, weight_bits, expected):
        assert self.bits(weight_bits) == expected

    def test_the_name_of_a_model_is_all_layers_in_it(self):
        quantized, _ = kpk.quantize_aware(
            qat_models.nested(), weight_bits={"encoder": 2}
        )
        assert wrapped(quantized) == {"inside": 2, "outside": 8}
        quantized, _ = kpk.quantize_aware(
            qat_models.nested(), weight_bits={".*": 2, "encoder/inside": 4}
        )
        assert wrapped(quantized) == {"inside": 4, "outside": 2}

    def test_the_cell_of_a_recurrent_layer_has_the_path_of_its_layer(self, K):
        inputs = K.layers.Input((5, 3))
        states = K.layers.LSTM(4, name="recurrent")(inputs)
        dense = K.Model(inputs, K.layers.Dense(2, name="top")(states))
        bits, x = {"recurrent": 2, "top": 4}, random(60, 5, 3)
        pruned = K.models.clone_model(dense)
        pruned.set_weights(dense.get_weights())
        report = kpk.reconstruct(pruned, dense, data=x, weight_bits=bits)
        assert {w.path: w.weight_bits for w in report.weights} == {
            "recurrent/kernel": 2,
            "recurrent/recurrent_kernel": 2,
            "top/kernel": 4,
        }
        kernel = np.asarray(pruned.get_layer("recurrent").cell.kernel)
        for column in kernel.T:
            assert len(values_of(column)) <= 3


class TestTraining:
    def test_each_layer_has_its_levels_and_the_report_says_which(self):
        model = qat_models.cnn()
        quantized, report = kpk.quantize_aware(
            model, weight_bits={".*": 3, "first": 6, "second": 2, "classifier": 8}
        )
        assert [line for line in report.layers if line[0] in wrapped(quantized)] == [
            ("first", "6 bits in int8"),
            ("second", "2 bits in int4"),
            ("third", "3 bits in int4"),
            ("classifier", "int8"),
        ]
        stripped = kpk.strip_quantization(quantized)
        kernels = {
            name: stripped.get_layer(name).kernel.numpy() for name in wrapped(quantized)
        }
        for name, most in (("first", 63), ("second", 3)):
            counts = [len(values_of(c)) for c in np.moveaxis(kernels[name], -1, 0)]
            assert max(counts) <= most
        assert len(values_of(kernels["third"])) == 7
        assert 15 < len(values_of(kernels["classifier"])) <= 255

    def test_uniform_bits_are_those_of_a_mapping_for_all(self):
        model = qat_models.separable()
        pair = [
            kpk.strip_quantization(kpk.quantize_aware(model, weight_bits=bits).model)
            for bits in (3, {".*": 3})
        ]
        for one, other in zip(*(m.get_weights() for m in pair), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_saved_model_has_the_same_bits(self, tmp_path):
        model, x = pictures(keras), random(64, 8, 8, 3)
        quantized = kpk.quantize_aware(model, weight_bits=MIXED).model
        quantized.compile("adam", "mse")
        quantized.fit(x, random(64, 4, seed=1), epochs=1, verbose=0)
        quantized.save(tmp_path / "mixed.keras")
        loaded = keras.models.load_model(tmp_path / "mixed.keras")
        assert wrapped(loaded) == OF_PICTURES
        np.testing.assert_array_equal(loaded(x), quantized(x))
        assert (
            kpk.export_tflite(loaded, quantization="int8").bytes
            == kpk.export_tflite(quantized, quantization="int8").bytes
        )

    def test_the_file_has_int4_and_int8_side_by_side(self):
        model = qat_models.cnn()
        bits = {".*": 2, "first": 5, "third": 4, "classifier": 8}
        quantized = kpk.quantize_aware(model, weight_bits=bits).model
        x = random(32, 12, 12, 1)
        for _ in range(2):
            quantized(x, training=True)
        file = kpk.export_tflite(quantized, quantization="int8")
        found = {
            c.size: (c.bits, c.stored) for c in constants(file.bytes) if c.is_weight
        }
        stripped = kpk.strip_quantization(quantized)
        containers = {"first": 8, "second": 4, "third": 4, "classifier": 8}
        for name, container in containers.items():
            size = int(np.prod(stripped.get_layer(name).kernel.shape))
            assert found[size][0] == container
        assert {*values_of(found[8 * 8 * 9][1])} == {-1, 0, 1}
        given, wanted = file.predict(x), np.asarray(quantized(x))
        np.testing.assert_allclose(given, wanted, atol=0.05)

    @pytest.mark.quick_in("tf_keras")
    def test_tfmot_takes_mappings_of_8_bits_alone(self):
        model = models.sequential(tf_keras)
        first = model.layers[0].name
        kpk.quantize_aware(model, weight_bits={first: 8})
        with pytest.raises(ValueError, match="Fewer bits need a Keras 3 model"):
            kpk.quantize_aware(model, weight_bits={first: 4})


class TestWithoutTraining:
    def test_each_kernel_has_its_values(self, K):
        dense, x = pictures(K), random(200, 8, 8, 3, seed=9)
        model = kpk.prune_at_once(dense, 0.3, data=x, weight_bits=MIXED)
        for name, kernel in kernels_of(model).items():
            levels = 2 ** (OF_PICTURES[name] - 1) - 1
            step = np.abs(kernel).max(0) / levels
            multiples = kernel / np.where(step > 0, step, 1)
            np.testing.assert_allclose(multiples, np.rint(multiples), atol=1e-4)
            assert np.abs(np.rint(multiples)).max() == levels

    def test_the_report_says_the_bits_of_each(self, K):
        dense, pruned, x = pictures(K), pictures(K), random(100, 8, 8, 3)
        report = kpk.reconstruct(pruned, dense, data=x, weight_bits=MIXED)
        found = {w.path.split("/")[0]: w.weight_bits for w in report.weights}
        assert found == OF_PICTURES

    def test_training_begins_with_the_rounded_weights(self):
        dense, x = pictures(keras), random(200, 8, 8, 3, seed=9)
        model = kpk.prune_at_once(
            dense, 0.3, data=x, weight_bits=MIXED, for_quantize_aware=True
        )
        # The depthwise kernel is not solved, and not rounded; of 3 bits it would be.
        depthwise = model.get_layer("separable").depthwise_kernel
        depthwise.assign(np.sign(depthwise) * 0.75)
        assert_training_begins_with(model, MIXED, x)


class TestBadInput:
    CASES = (
        ({"plain": 7}, ValueError, r"one of \(8, 6, .*Received: 7 for 'plain'"),
        ({"plain": True}, ValueError, "Received: True for 'plain'"),
        ({"plane": 4}, ValueError, "'plane' covers no layer.*Did you mean 'plain'"),
        ({".*": 4, "plane": 4}, ValueError, "weight_bits: match='plane' covers no"),
        ({"re_lu.*": 4}, ValueError, "'re_lu.*' covers no layer"),  # It has no weights.
        ({"(": 4}, ValueError, "weight_bits: match must be a regex that compiles"),
        ({3: 4}, TypeError, "weight_bits: match is a regex .* Received: 3"),
        ([("plain", 4)], ValueError, "or a mapping from layers to these"),
    )

    @pytest.mark.parametrize(("bits", "error", "message"), CASES)
    def test_of_reconstruct_and_prune_at_once(self, bits, error, message, K):
        dense, pruned, x = pictures(K), pictures(K), random(20, 8, 8, 3)
        before = pruned.get_weights()
        with pytest.raises(error, match=message):
            kpk.reconstruct(pruned, dense, data=x, weight_bits=bits)
        with pytest.raises(error, match=message):
            kpk.prune_at_once(dense, 0.5, data=x, weight_bits=bits)
        for one, other in zip(before, pruned.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize(("bits", "error", "message"), CASES)
    def test_of_quantize_aware(self, bits, error, message):
        with pytest.raises(error, match=message):
            kpk.quantize_aware(pictures(keras), weight_bits=bits)
