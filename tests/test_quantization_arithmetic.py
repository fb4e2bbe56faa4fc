"""Rounding on small arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_prune_kit.quantization.fake_quantize import FakeQuantize
from keras_prune_kit.quantization.int8_kernels import einsum_sizes, stages_of
from keras_prune_kit.quantization.rounding import (
    LOG_UNIT,
    compact,
    compact_nearest,
    compact_range,
    least_squares_step,
    levels_of,
    max_abs,
    round_activation,
    round_to_learned_step,
    round_to_reach,
)
from keras_prune_kit.quantization.wrappers import safe_reach


def gradient_of(function, *values):
    tensors = [tf.constant(value, tf.float32) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        result = function(*tensors)
    return [None if g is None else g.numpy() for g in tape.gradient(result, tensors)]


def test_a_compact_step_is_the_next_up_of_eight_to_a_power_of_two():
    steps = np.array([1.0, 1.01, 1.125, 1.9, 0.3, 0.0], np.float32)
    assert compact(steps).numpy().tolist() == [1.0, 1.125, 1.125, 2.0, 0.3125, 0.0]


def test_a_step_of_random_size_grows_by_an_eighth_at_most_and_only_once():
    steps = np.exp(np.random.default_rng(0).normal(size=999) * 5).astype("float32")
    larger = compact(steps).numpy()
    assert ((larger >= steps * (1 - 1e-5)) & (larger <= steps * 1.125)).all()
    assert (compact(larger).numpy() == larger).all()
    assert not (larger.view(np.int32) & 0xFFFFF).any()


def test_the_nearest_compact_step_is_a_sixteenth_off_at_most():
    steps = np.exp(np.random.default_rng(0).normal(size=999) * 5).astype("float32")
    nearest = compact_nearest(steps).numpy()
    assert (np.abs(nearest / steps - 1) <= 1 / 16).all()
    assert not (nearest.view(np.int32) & 0xFFFFF).any()
    assert compact_nearest(np.float32(0)).numpy() == 0


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-1.3, 2.7), (-5, 0), (-0.01, 9)])
def test_a_compact_range_holds_the_range_and_zero(low, high):
    found = [float(end) for end in compact_range(tf.constant(low, tf.float32), high)]
    step = (found[1] - found[0]) / 255
    assert compact(np.float32(step)).numpy() == np.float32(step)
    assert found[0] <= low + step / 2 and found[1] >= high - step / 2
    assert round(found[0] / step) == found[0] / step


@pytest.mark.parametrize(
    ("bits", "levels"), [(8, 127), (6, 31), (5, 15), (4, 7), (3, 3), (2, 1)]
)
def test_levels_are_symmetric(bits, levels):
    assert levels_of(bits) == levels
    kernel = np.linspace(-1, 1, 999, dtype="float32").reshape(-1, 1)
    rounded = round_to_reach(kernel, tf.constant(1.0), bits).numpy()
    assert len(np.unique(rounded)) == 2 * levels + 1
    np.testing.assert_allclose(rounded, np.rint(kernel * levels) / levels, atol=1e-6)


def test_each_output_has_its_own_step():
    kernel = np.array([[1.0, 10.0], [-0.3, 4.0]], "float32")
    reach = max_abs(tf.constant(kernel), per_channel=True)
    rounded = round_to_reach(kernel, reach, bits=2)
    np.testing.assert_allclose(rounded, [[1, 10], [0, 0]], atol=1e-6)
    assert max_abs(tf.constant(kernel), per_channel=False) == 10


def test_a_channel_of_zeros_stays_one():
    kernel = np.array([[0.0, 1.0]], "float32")
    np.testing.assert_array_equal(
        round_to_reach(kernel, tf.constant([0.0, 1.0]), 8), kernel
    )


def test_activations_keep_zero_and_clip():
    x = tf.constant([-9.0, -0.5, 0.0, 0.001, 1.0, 9.0])
    rounded = round_activation(x, -1.0, 1.0).numpy()
    assert rounded[2] == 0
    np.testing.assert_allclose(rounded, np.clip(x, -1, 1), atol=2 / 255)


def test_gradients_go_straight_through_what_is_clipped_too():
    kernel = [[-9.0, 0.1, 2.0]]
    for function in (
        lambda k: round_to_reach(k, tf.constant(1.0), 4),
        lambda k: round_activation(k, -1.0, 1.0),
        lambda k: round_to_learned_step(k, tf.constant(0.0), 3),
    ):
        np.testing.assert_array_equal(gradient_of(function, kernel)[0], [[1, 1, 1]])


def test_a_learned_step_follows_its_formula():
    """Esser et al. 2020, equation 3, damped by their 1 / sqrt(values * levels)."""
    step, levels = 0.5, 3
    kernel = np.array([[0.6, -0.1, 9.0, -0.9]], "float32")
    log_step = np.log(step) / LOG_UNIT
    rounded = round_to_learned_step(
        tf.constant(kernel), tf.constant(log_step, tf.float32), levels
    )
    np.testing.assert_allclose(rounded, [[0.5, 0, 1.5, -1]], atol=1e-6)
    _, found = gradient_of(
        lambda k, s: round_to_learned_step(k, s, levels), kernel, log_step
    )
    slopes = (1 - 1.2) + (0 + 0.2) + 3 + (-2 + 1.8)
    damped = slopes / np.sqrt(4 * levels)
    np.testing.assert_allclose(found, damped / (LOG_UNIT * step), rtol=1e-4)


def test_clipped_values_pull_the_step_alike_on_either_side():
    found = [
        gradient_of(lambda k, s: round_to_learned_step(k, s, 3), kernel, 0.0)[1]
        for kernel in ([[9.0, 0.2]], [[-9.0, -0.2]])
    ]
    assert found[0] == pytest.approx(-found[1])
    assert found[0] == pytest.approx((3 - 0.2) / np.sqrt(2 * 3) / LOG_UNIT, rel=1e-4)


def test_learned_steps_of_several_outputs_have_their_own_gradients():
    kernel = np.array([[0.6, 9.0], [0.2, 0.0]], "float32")
    _, found = gradient_of(
        lambda k, s: round_to_learned_step(k, s, 1), kernel, [0.0, 0.0]
    )
    expected = np.array([(1 - 0.6) + (0 - 0.2), 1.0]) / np.sqrt(2) / LOG_UNIT
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("levels", [1, 3, 7])
def test_the_first_step_is_about_the_best_there_is(levels):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(64, 32)).astype("float32")
    kernel[rng.random(kernel.shape) < 0.8] = 0

    def error(step):
        level = np.clip(np.rint(kernel / step), -levels, levels)
        return ((level * step - kernel) ** 2).sum()

    found = error(least_squares_step(kernel, levels, per_channel=False))
    best = min(error(step) for step in np.linspace(0.05, 3, 500))
    assert found <= 1.05 * best
    assert found < 0.9 * error(np.abs(kernel).max() / levels)


def test_first_steps_are_positive_whatever_the_kernel():
    kernel = np.zeros((4, 3), "float32")
    assert least_squares_step(kernel, 7, per_channel=False) > 0
    kernel[0, 1] = 2.0
    steps = least_squares_step(kernel, 7, per_channel=True)
    assert steps.shape == (3,)
    assert (steps > 0).all()


def test_reach_is_large_enough_for_the_bias():
    reach = safe_reach(tf.constant([0.0, 1.0, 1e-9]), tf.constant([0.0, 0.0, 5.0]))
    assert reach[0] == reach[1] == 1
    assert 5 / (1e-4 * reach[2] / 127) < 2**31
    assert safe_reach(tf.constant(0.0), None) == 1


class TestFakeQuantize:
    def layer(self, **arguments):
        layer = FakeQuantize(**arguments)
        layer.build((None, 2))
        return layer

    def test_passes_everything_before_training(self):
        layer, x = self.layer(), tf.constant([[0.123, 9.0]])
        assert not layer.has_range()
        np.testing.assert_array_equal(layer(x), x)
        np.testing.assert_array_equal(layer(x, training=None), x)

    def test_takes_the_first_batch_and_follows_the_others(self):
        layer = self.layer(momentum=0.9)
        layer(tf.constant([[-1.0, 3.0]]), training=True)
        assert [float(layer.low), float(layer.high)] == [-1.0, 3.0]
        layer(tf.constant([[1.0, 5.0]]), training=True)
        np.testing.assert_allclose([layer.low, layer.high], [-0.9, 3.2], rtol=1e-6)
        layer(tf.constant([[-50.0, 50.0]]))
        np.testing.assert_allclose([layer.low, layer.high], [-0.9, 3.2], rtol=1e-6)

    @pytest.mark.parametrize("value", [0.0, -2.0, 2.0])
    def test_a_range_holds_zero_and_is_never_empty(self, value):
        layer = self.layer()
        layer(tf.fill((1, 2), value), training=True)
        assert float(layer.low) <= 0 <= float(layer.high)
        assert layer.has_range()
        np.testing.assert_allclose(layer(tf.fill((1, 2), value)), value, atol=0.01)

    def test_a_batch_of_zeros_says_nothing(self):
        layer, zeros = self.layer(), tf.zeros((1, 2))
        layer(tf.constant([[-1.0, 3.0]]), training=True)
        for _ in range(100):
            layer(zeros, training=True)
        assert [float(layer.low), float(layer.high)] == [-1.0, 3.0]

    def test_what_was_nothing_but_zeros_has_no_tiny_steps(self):
        layer = self.layer(momentum=0.5)
        layer(tf.zeros((1, 2)), training=True)
        assert [float(layer.low), float(layer.high)] == [0.0, 1.0]
        layer(tf.constant([[0.0, 3.0]]), training=True)
        assert [float(layer.low), float(layer.high)] == [0.0, 2.0]

    def test_a_frozen_layer_keeps_its_range(self):
        layer = self.layer()
        layer(tf.constant([[-1.0, 3.0]]), training=True)
        layer.trainable = False
        layer(tf.constant([[-9.0, 9.0]]), training=True)
        assert [float(layer.low), float(layer.high)] == [-1.0, 3.0]

    def test_prescribed_bounds_stay(self):
        layer = self.layer(bounds=(0.0, 255 / 256))
        assert not layer.weights
        assert layer.has_range()
        x = tf.constant([[0.5, 0.7]])
        np.testing.assert_allclose(layer(x, training=True), [[128 / 256, 179 / 256]])

    def test_survives_its_configuration(self):
        layer = FakeQuantize((0.0, 1.0), momentum=0.5, name="a")
        copy = FakeQuantize.from_config(layer.get_config())
        assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("equation", "shape", "bias_axes", "sizes"),
    [
        ("abc,cd->abd", (4, 3), "d", (1, 1)),
        ("...x,xy->...y", (3,), "y", (1, 1)),
        ("abc,cde->abde", (4, 2, 3), "de", (1, 2)),
        ("abcd,cde->abe", (4, 3), None, (2, 1)),
        ("abc,dc->abd", (4, 3), None, None),  # a transposed kernel
        ("abc,bcd->abd", (4, 3), None, None),  # one matrix for each b
        ("abc,cd->abd", (4, 3), "bd", None),  # a bias for each b
    ],
)
def test_equations_that_are_matrix_products(equation, shape, bias_axes, sizes):
    layer = keras.layers.EinsumDense(equation, shape, bias_axes=bias_axes)
    layer.build((2, 4, 5) if equation != "abcd,cde->abe" else (2, 4, 5, 6))
    assert einsum_sizes(layer) == sizes


@pytest.mark.parametrize("sizes", [(4,), (4, 5), (2, 4, 5)])
def test_gradients_of_kernels_on_sequences_are_one_matrix_product(sizes):
    rng = np.random.default_rng(0)
    layer = keras.layers.Dense(6)
    layer.build((None, *sizes, 3))
    (stage,) = stages_of(layer)
    x, kernel = rng.normal(size=(7, *sizes, 3)), rng.normal(size=(3, 6))

    @tf.function
    def gradients(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = stage.apply(layer, x, kernel, None)
            half = tf.reduce_sum(y**2) / 2
        return tape.gradient(half, [x, kernel])

    given = [tf.constant(value, tf.float32) for value in (x, kernel)]
    to_x, to_kernel = gradients(*given)
    rows = x.reshape(-1, 3)
    right = rows.T @ rows @ kernel
    np.testing.assert_allclose(to_kernel, right, atol=1e-4 * np.abs(right).max())
    np.testing.assert_allclose(to_x, x @ kernel @ kernel.T, rtol=1e-4, atol=1e-4)
    # TensorFlow's gradient of an ellipsis takes a hundred times as long.
    operations = gradients.get_concrete_function(*given).graph.get_operations()
    products = [op.get_attr("equation") for op in operations if op.type == "Einsum"]
    assert len(products) == 3 and not any(b"." in each for each in products)
