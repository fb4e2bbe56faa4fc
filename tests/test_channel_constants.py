"""A channel that is constant leaves if what it adds can move into a bias.

Weights are written by hand: channel 0 of the first layer is a filter of zeros with a
bias, so it has the same value for all inputs.
"""

import numpy as np
import pytest
from channel_tools import outputs, randomize, samples, spread
from marks import slow

import keras_prune_kit as kpk

pytestmark = pytest.mark.quick_in("keras")
CONSTANT = 0.7


def with_constant(K, *after, first=None, shape=(6, 6, 3), seed=0):
    """A model whose first layer has one constant channel, 0."""
    first = first or K.layers.Conv2D(5, 3, activation="sigmoid", name="first")
    layers = [K.layers.Input(shape), first, *after]
    model = randomize(K.Sequential([*layers, K.layers.Flatten(), K.layers.Dense(3)]))
    kernel, bias = np.array(first.kernel), np.array(first.bias)
    kernel[..., 0], bias[0] = 0, CONSTANT
    first.kernel.assign(kernel)
    first.bias.assign(bias)
    return model


def check(model, units):
    """The first layer keeps some of its 5 channels, and the outputs are the same."""
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("first").bias.shape[0] == units
    assert abs(outputs(small, x) - expected).max() < 1e-5 * spread(expected)
    return small


AFTER = {
    "flat": lambda L: [],
    "pointwise": lambda L: [L.Conv2D(4, 1, padding="same", name="next")],
    "valid": lambda L: [L.Conv2D(4, 3, name="next")],
    "no bias": lambda L: [L.Conv2D(4, 2, use_bias=False, name="next")],
    "other start": lambda L: [
        L.Conv2D(4, 2, use_bias=False, bias_initializer="ones", name="next")
    ],
    "normalized": lambda L: [L.BatchNormalization(), L.Conv2D(4, 2, name="next")],
    "pooled": lambda L: [
        L.MaxPooling2D(2, padding="same"),
        L.GlobalAveragePooling2D(),
        L.Dense(4, use_bias=False, name="next"),
    ],
}


@pytest.mark.each_value
@pytest.mark.parametrize("name", AFTER)
def test_a_constant_channel_moves_into_the_next_bias(K, name):
    model = with_constant(K, *AFTER[name](K.layers))
    had = {x.name for x in model.layers if getattr(x, "bias", None) is not None}
    small = check(model, units=4)
    has = {x.name for x in small.layers if getattr(x, "bias", None) is not None}
    assert has == had | ({"next"} if AFTER[name](K.layers) else set())


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    "after",
    [
        lambda L: [L.Conv2D(4, 3, padding="same")],
        lambda L: [L.ZeroPadding2D(), L.Conv2D(4, 3)],
        lambda L: [L.Conv2DTranspose(4, 3)],
        lambda L: [L.DepthwiseConv2D(3, padding="same"), L.Conv2D(4, 1)],
        lambda L: [L.SeparableConv2D(4, 3)],
        lambda L: [L.Conv2D(10, 1, groups=5), L.Conv2D(4, 3, padding="same")],
    ],
    ids=["same", "padding", "transposed", "depthwise", "separable", "grouped"],
)
def test_it_stays_where_that_is_not_exact(K, after):
    """At a padded border it adds less than elsewhere."""
    model = with_constant(K, *after(K.layers))
    check(model, units=5)
    # Zeroed, it would have changed the outputs.
    x = samples(model)
    before = outputs(model, x)
    model.get_layer("first").bias.assign(np.zeros(5))
    if model.get_layer("first").activation.__name__ == "sigmoid":
        kernel = np.array(model.layers[-1].kernel)
        assert kernel.size and spread(before) > 1e-3
    assert abs(outputs(model, x) - before).max() > 1e-3


@pytest.mark.parametrize("world_kernel", [slow("same"), "valid"])
def test_zero_after_the_activation_leaves_anywhere(K, world_kernel):
    first = K.layers.Conv2D(5, 3, activation="relu", name="first")
    after = K.layers.Conv2D(4, 3, padding=world_kernel)
    model = with_constant(K, after, first=first)
    bias = np.array(first.bias)
    bias[0] = -1  # relu makes it zero
    first.bias.assign(bias)
    check(model, units=4)


def test_a_shared_reader_has_one_bias_for_two_constants(K):
    L = K.layers
    left, right = L.Input((4,)), L.Input((4,))
    firsts = [L.Dense(5, name="first"), L.Dense(5, name="second")]
    reader = L.Dense(4)
    ends = [reader(firsts[0](left)), reader(firsts[1](right))]
    model = randomize(K.Model([left, right], ends))
    for first, constant in zip(firsts, (0.5, -0.5), strict=True):
        kernel, bias = np.array(first.kernel), np.array(first.bias)
        kernel[:, 0], bias[0] = 0, constant
        first.kernel.assign(kernel)
        first.bias.assign(bias)
    check(model, units=5)
    for first in firsts:
        bias = np.array(first.bias)
        bias[0] = 0
        first.bias.assign(bias)
    check(model, units=4)


def test_the_shift_of_a_normalization_is_followed(K):
    """beta - gamma * mean / sqrt(variance), though the kernel is zero."""
    L = K.layers
    layers = [L.BatchNormalization(), L.Activation("tanh"), L.Conv2D(4, 1)]
    first = L.Conv2D(5, 3, name="first")
    model = with_constant(K, *layers, first=first)
    check(model, units=4)


def test_a_product_with_zero_is_zero(K):
    L = K.layers
    inputs = L.Input((4,))
    a, b = L.Dense(5, name="first"), L.Dense(5, name="gate")
    model = K.Model(inputs, L.Dense(3)(L.Multiply()([a(inputs), b(inputs)])))
    randomize(model)
    a.kernel.assign(np.array(a.kernel) * [0, 1, 1, 1, 1])
    a.bias.assign(np.array(a.bias) * [0, 1, 1, 1, 1])
    small = check(model, units=4)
    assert small.get_layer("gate").units == 4


def test_float64_is_exact_to_its_own_rounding(K):
    L, options = K.layers, {"dtype": "float64"}
    inputs = L.Input((4,), dtype="float64")
    first = L.Dense(5, "sigmoid", name="first", **options)
    x = L.BatchNormalization(**options)(first(inputs))
    model = randomize(K.Model(inputs, L.Dense(3, "tanh", **options)(x)))
    kernel = np.array(first.kernel)
    kernel[:, :2] = 0
    first.kernel.assign(kernel)
    x = samples(model)
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("first").units == 3
    expected = outputs(model, x)
    assert abs(outputs(small, x) - expected).max() < 1e-12
    assert spread(expected) > 0.1


def chain(K, *widths):
    layers = [K.layers.Dense(n, "relu", name=f"d{i}") for i, n in enumerate(widths)]
    return randomize(K.Sequential([K.layers.Input((4,)), *layers, K.layers.Dense(3)]))


def test_channels_that_only_zeros_read_leave(K):
    """As after `Channel(axis=-2)`: unit 1 of the first layer is not read."""
    model = chain(K, 5, 6)
    reader = model.get_layer("d1")
    reader.kernel.assign(np.array(reader.kernel) * [[1], [0], [1], [1], [1]])
    x = samples(model)
    small = kpk.remove_zero_channels(model)
    assert [small.get_layer(f"d{i}").units for i in range(2)] == [4, 6]
    expected = outputs(model, x)
    assert abs(outputs(small, x) - expected).max() < 1e-5 * spread(expected)


def test_a_chain_that_nothing_reads_leaves_together(K):
    model = chain(K, 5, 6, 4)
    # Units 0 and 1 of d1 are read by unit 0 of d2, which nothing reads; units 0 to 2 of
    # d0 by those of d1.
    for name, keep in (("d1", (slice(0, 3), slice(2, None))), ("d2", (slice(0, 2),))):
        layer = model.get_layer(name)
        kernel = np.array(layer.kernel)
        kernel[keep[0], keep[1] if len(keep) > 1 else slice(1, None)] = 0
        layer.kernel.assign(kernel)
    last = model.layers[-1]
    last.kernel.assign(np.array(last.kernel) * [[0], [1], [1], [1]])
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert [small.get_layer(f"d{i}").units for i in range(3)] == [2, 4, 3]
    assert abs(outputs(small, x) - expected).max() < 1e-5 * spread(expected)


def test_a_recurrent_unit_that_reads_itself_stays(K):
    """Unit 0 is read by units 0 and 1 of the same layer, and by nothing else."""
    L = K.layers
    layers = [L.Input((5, 3)), L.LSTM(4, name="lstm"), L.Dense(2)]
    model = randomize(K.Sequential(layers))
    dense = model.layers[-1]
    dense.kernel.assign(np.array(dense.kernel) * [[0], [1], [1], [1]])
    assert kpk.remove_zero_channels(model).get_layer("lstm").units == 4
    cell = model.get_layer("lstm").cell
    kernel = np.array(cell.recurrent_kernel)
    kernel[0, np.arange(16) % 4 != 0] = 0  # Now only unit 0 reads it.
    cell.recurrent_kernel.assign(kernel)
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("lstm").units == 3
    assert abs(outputs(small, x) - expected).max() < 1e-5 * spread(expected)


def test_a_first_state_that_is_not_zero_keeps_a_unit(K):
    """Without a candidate, the state fades, but is there."""
    L = K.layers
    line, facts = L.Input((5, 3)), L.Input((2,))
    layer = L.GRU(4, name="gru")
    end = layer(line, initial_state=L.Dense(4)(facts))
    model = randomize(K.Model([line, facts], L.Dense(2)(end)))
    cell = layer.cell
    for variable in (cell.kernel, cell.recurrent_kernel, cell.bias):
        value = np.array(variable)
        value[..., 8] = 0  # the candidate of unit 0
        variable.assign(value)
    x = samples(model)
    expected = outputs(model, x)
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("gru").units == 4
    assert abs(outputs(small, x) - expected).max() < 1e-6


def test_one_channel_of_each_layer_stays(K):
    model = chain(K, 5, 6)
    for layer in model.layers[-3:-1]:
        layer.kernel.assign(np.zeros(layer.kernel.shape))
        layer.bias.assign(np.zeros(layer.bias.shape))
    x = samples(model)
    small = kpk.remove_zero_channels(model)
    assert [small.get_layer(f"d{i}").units for i in range(2)] == [1, 1]
    np.testing.assert_allclose(outputs(small, x), outputs(model, x), atol=1e-7)
