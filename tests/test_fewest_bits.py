"""The fewest bits of each layer: the choice on literals, and models with known ones."""

import itertools

import keras
import numpy as np
import pytest
from random_values import random

import keras_prune_kit as kpk
from keras_prune_kit.policies import bits_of_layers
from keras_prune_kit.reconstruction import fewest_bits
from keras_prune_kit.reconstruction.cheapest_bits import ScoredLayer, cheapest_bits


def ternary(*shape, seed=0):
    """Of two bits, by a step that is one of the grid's."""
    return np.random.default_rng(seed).choice([-0.5, 0, 0.5], shape).astype("float32")


LARGE = ScoredLayer("large", 1000, {8: 0.0, 4: 0.001, 3: 0.010, 2: 0.100})
SMALL = ScoredLayer("small", 10, {8: 0.0, 4: 0.002, 3: 0.020, 2: 0.200})
EXACT = ScoredLayer("exact", 5, {8: 0.0, 4: 0.0, 3: 0.0, 2: 0.0})


@pytest.mark.parametrize(
    ("most", "large", "small"),
    [
        (0.0, 8, 8),
        (0.001, 4, 8),
        (0.003, 4, 4),
        # What the large layer leaves goes to the small one.
        (0.010, 3, 8),
        (0.012, 3, 4),
        (0.030, 3, 3),
        (0.100, 2, 8),
        (0.102, 2, 4),
        (0.300, 2, 2),
    ],
)
def test_the_bits_save_most_within_the_limit(most, large, small):
    expected = {"large": large, "small": small, "exact": 2}
    # Divergences are counted in ten-thousandths of the limit, rounded up.
    assert cheapest_bits([LARGE, SMALL, EXACT], 1.001 * most) == expected


def test_no_choice_of_bits_saves_more():
    rng = np.random.default_rng(0)
    for _ in range(20):
        layers = [
            ScoredLayer(
                str(number),
                int(rng.integers(1, 1000)),
                {
                    8: 0.0,
                    **dict(
                        zip((4, 3, 2), np.sort(rng.exponential(size=3)), strict=True)
                    ),
                },
            )
            for number in range(4)
        ]
        found = cheapest_bits(layers, 1.0)
        costs = {}
        for bits in itertools.product((8, 4, 3, 2), repeat=4):
            pairs = list(zip(layers, bits, strict=True))
            if sum(layer.divergences[b] for layer, b in pairs) <= 1.0:
                costs[bits] = sum(layer.weights * b for layer, b in pairs)
        assert costs[tuple(found.values())] == min(costs.values())


def test_of_equal_layers_the_first_has_fewer():
    pair = [ScoredLayer(name, 10, {8: 0.0, 4: 0.01}) for name in ("a", "b")]
    assert cheapest_bits(pair, 0.015) == {"a": 4, "b": 8}


def test_fewer_bits_that_are_no_worse_are_free():
    layer = ScoredLayer("a", 10, {8: 0.0, 4: 0.02, 3: 0.01, 2: 0.5})
    assert cheapest_bits([layer], 0.02) == {"a": 3}


def two_layers(K):
    L = K.layers
    model = K.Sequential(
        [
            L.Input((6, 6, 2)),
            L.Conv2D(8, 3, activation="relu", name="exact"),
            L.Flatten(),
            L.Dense(5, name="fine"),
        ]
    )
    model.get_layer("exact").set_weights([ternary(3, 3, 2, 8), random(8, seed=1)])
    model.get_layer("fine").set_weights([random(128, 5, seed=2), random(5, seed=3)])
    return model


def test_layers_that_have_few_values_keep_them(K):
    model, x = two_layers(K), random(64, 6, 6, 2, seed=4)
    before = model.get_weights()
    assert fewest_bits(model, x, most_divergence=0.0) == {"exact": 2, "fine": 8}
    assert fewest_bits(model, x, most_divergence=99) == {"exact": 2, "fine": 2}
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_give_the_bits_of_all_samples_at_once(K):
    model, x = two_layers(K), random(64, 6, 6, 2, seed=4)
    for most in (0.003, 0.03, 0.3):
        found = fewest_bits(model, x, most_divergence=most, batch_size=24)
        assert found == fewest_bits(model, x, most_divergence=most)


def rounded(kernel, bits):
    """The nearest values by the best step, of four significant bits."""
    levels = 2 ** (bits - 1) - 1
    steps = [np.ldexp(m / 16, e) for m in range(8, 16) for e in range(-5, 5)]
    tried = [np.clip(np.rint(kernel / s), -levels, levels) * s for s in steps]
    return min(tried, key=lambda one: np.square(one - kernel).sum())


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_the_limit_is_the_divergence_of_the_outputs(bits):
    model, x = two_layers(keras), random(200, 6, 6, 2, seed=4)
    wanted, layer = np.array(model(x)), model.get_layer("fine")
    kernel = np.array(layer.kernel)
    layer.kernel.assign(rounded(kernel, bits))
    divergence = np.square(np.array(model(x)) - wanted).mean() / wanted.var()
    layer.kernel.assign(kernel)
    enough = fewest_bits(model, x, most_divergence=1.001 * divergence)
    assert enough["fine"] == bits
    assert fewest_bits(model, x, most_divergence=0.999 * divergence)["fine"] > bits


def test_256_samples_decide():
    model, x = two_layers(keras), random(300, 6, 6, 2, seed=4)
    other = x.copy()
    other[256:] = 1e6
    for most in (0.003, 0.03):
        found = fewest_bits(model, x, most_divergence=most)
        assert found == fewest_bits(model, other, most_divergence=most)


def test_keys_are_regexes_of_one_layer_each():
    """Unescaped, the later `a.b` would cover `axb` as well."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(6, name="axb"),
            keras.layers.Dense(6, name="a.b"),
        ]
    )
    model.get_layer("axb").kernel.assign(random(6, 6))
    model.get_layer("a.b").kernel.assign(ternary(6, 6))
    found = fewest_bits(model, random(50, 6), most_divergence=0.0)
    bits = bits_of_layers(model, found)
    assert [bits.of(layer) for layer in model.layers] == [8, 2]
    _, report = kpk.quantize_aware(model, weight_bits=found)
    assert report.layers == (("axb", "int8"), ("a.b", "2 bits in int4"))


@pytest.mark.parametrize(("depthwise", "bits"), [(ternary, 2), (random, 8)])
def test_the_depthwise_kernel_of_a_separable_convolution_counts(depthwise, bits, K):
    inputs = K.layers.Input((6, 6, 4))
    layer = K.layers.SeparableConv2D(5, 3, name="separable")
    model = K.Model(inputs, layer(inputs))
    layer.set_weights([depthwise(3, 3, 4, 1), ternary(1, 1, 4, 5), random(5)])
    found = fewest_bits(model, random(30, 6, 6, 4, seed=5), most_divergence=0.0)
    assert found == {"separable": bits}


def test_the_kernels_of_a_recurrent_layer_go_together(K):
    inputs = K.layers.Input((4, 3))
    layer = K.layers.LSTM(5, name="recurrent")
    model = K.Model(inputs, K.layers.Dense(2, name="top")(layer(inputs)))
    layer.set_weights([ternary(3, 20), ternary(5, 20, seed=1), random(20)])
    x = random(30, 4, 3)
    expected = {"recurrent": 2, "top": 8}
    assert fewest_bits(model, x, most_divergence=0.0) == expected
    layer.set_weights([ternary(3, 20), random(5, 20, seed=1), random(20)])
    expected = {"recurrent": 8, "top": 8}
    assert fewest_bits(model, x, most_divergence=0.0) == expected


def test_a_normalization_that_is_folded_sets_the_steps():
    """As in training: a Dense layer has one step for all outputs of the folded kernel.

    The kernel alone has another magnitude in each output, the folded one has not.
    """
    magnitudes = np.float32([0.5, 1, 2, 4])
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, use_bias=False, name="folded"),
            keras.layers.BatchNormalization(epsilon=0.0, name="norm"),
        ]
    )
    model.get_layer("folded").kernel.assign(ternary(6, 4) * magnitudes)
    x = random(40, 6)
    assert fewest_bits(model, x, most_divergence=0.0) == {"folded": 8}
    model.get_layer("norm").moving_variance.assign(magnitudes**2)
    assert fewest_bits(model, x, most_divergence=0.0) == {"folded": 2}


@pytest.mark.parametrize("most", [-0.1, float("nan"), "0.1", None])
def test_a_limit_is_a_number(most):
    with pytest.raises(ValueError, match="most_divergence is a number of at least 0"):
        fewest_bits(two_layers(keras), random(9, 6, 6, 2), most_divergence=most)
