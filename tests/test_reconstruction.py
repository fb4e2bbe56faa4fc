"""Pruning without training: each kind of layer and model, in both worlds."""

import logging

import models
import numpy as np
import pytest
import tensorflow as tf
from random_values import random, randomize

import keras_prune_kit as kpk
from keras_prune_kit.layer_inputs.kernels import Kernel, find_kernels
from keras_prune_kit.reconstruction import repair, solving


@pytest.fixture
def undamped(monkeypatch):
    """Solutions are exact, but for rounding."""
    monkeypatch.setattr(solving, "DAMPING", 1e-9)
    monkeypatch.setattr(solving, "DAMPING_OF_FEW_ROWS", 1e-9)


def copied(K, model):
    """Another model of the same architecture with the same weights."""
    copy = K.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def outputs(model, x):
    try:
        return np.asarray(model.predict(x, verbose=0), np.float64)
    except tf.errors.InvalidArgumentError as error:
        # TensorFlow leaves these to oneDNN, which it uses on some processors only.
        if "dilation rates larger than 1" in str(error):
            pytest.skip("TensorFlow has no such layer on this processor")
        raise


def difference(a, b, x):
    """The squared difference of outputs, relative to their variance."""
    given, wanted = outputs(a, x), outputs(b, x)
    return float(np.square(given - wanted).mean() / wanted.var())


def prune(model, sparsity=0.5, **options):
    """Masks at once, and nothing else."""
    schedule = kpk.ConstantSparsity(sparsity)
    pruner = kpk.Pruner(model, kpk.PrunePolicy(schedule, **options))
    pruner.start()
    pruner.finalize()
    return model


def zeros(model):
    return [weight == 0 for weight in model.get_weights()]


# By name: a layer, and the shape of its input.
LAYERS = {
    "dense": (lambda K: K.layers.Dense(3), (6,)),
    "dense of a sequence": (lambda K: K.layers.Dense(3, use_bias=False), (4, 6)),
    "conv1d same": (lambda K: K.layers.Conv1D(3, 3, padding="same"), (9, 4)),
    "conv1d causal": (
        lambda K: K.layers.Conv1D(3, 3, padding="causal", dilation_rate=2),
        (9, 4),
    ),
    "conv2d": (lambda K: K.layers.Conv2D(3, (3, 2)), (7, 6, 2)),
    "conv2d strides": (
        lambda K: K.layers.Conv2D(3, 3, strides=2, padding="same"),
        (7, 6, 2),
    ),
    "conv2d dilation": (
        lambda K: K.layers.Conv2D(3, 2, dilation_rate=2, padding="same"),
        (7, 6, 2),
    ),
    "conv2d groups": (lambda K: K.layers.Conv2D(6, 2, groups=2), (5, 6, 4)),
    "conv3d": (lambda K: K.layers.Conv3D(3, 2, strides=(1, 2, 1)), (4, 5, 3, 2)),
    "separable": (
        lambda K: K.layers.SeparableConv2D(
            3, 3, depth_multiplier=2, strides=2, padding="same"
        ),
        (7, 6, 2),
    ),
    "separable 1d": (lambda K: K.layers.SeparableConv1D(3, 3), (7, 4)),
    "transposed 1d": (
        lambda K: K.layers.Conv1DTranspose(3, 4, strides=3, padding="same"),
        (5, 4),
    ),
    "transposed 1d dilation": (
        lambda K: K.layers.Conv1DTranspose(3, 3, dilation_rate=2),
        (5, 4),
    ),
    "transposed": (lambda K: K.layers.Conv2DTranspose(3, (3, 2)), (4, 5, 2)),
    "transposed strides": (
        lambda K: K.layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
        (4, 5, 2),
    ),
    "transposed gaps": (
        lambda K: K.layers.Conv2DTranspose(3, 2, strides=(3, 2)),
        (4, 5, 2),
    ),
    "transposed gaps same": (
        lambda K: K.layers.Conv2DTranspose(3, 2, strides=(3, 1), padding="same"),
        (4, 5, 2),
    ),
    "transposed output padding": (
        lambda K: K.layers.Conv2DTranspose(
            3, 3, strides=2, padding="same", output_padding=1
        ),
        (4, 5, 2),
    ),
    "transposed output padding valid": (
        lambda K: K.layers.Conv2DTranspose(3, 4, strides=3, output_padding=(2, 1)),
        (4, 5, 2),
    ),
    "transposed 3d": (
        lambda K: K.layers.Conv3DTranspose(2, 3, strides=2, padding="same"),
        (2, 3, 2, 2),
    ),
    "depthwise": (
        lambda K: K.layers.DepthwiseConv2D(
            3, depth_multiplier=2, strides=2, padding="same"
        ),
        (7, 6, 3),
    ),
    "depthwise dilation": (
        lambda K: K.layers.DepthwiseConv2D(2, dilation_rate=2, use_bias=False),
        (7, 6, 3),
    ),
    "depthwise 1d": (lambda K: K.layers.DepthwiseConv1D(3), (7, 4)),
    "einsum": (
        lambda K: K.layers.EinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="de"),
        (5, 6),
    ),
    "einsum of two inputs": (
        lambda K: K.layers.EinsumDense("abcd,cde->abe", (5, 4), bias_axes="e"),
        (5, 3, 2),
    ),
    "einsum with ellipsis": (
        lambda K: K.layers.EinsumDense("...x,xy->...y", (5, 3), bias_axes="y"),
        (5, 4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_rows_times_kernel_are_the_outputs_of_the_layer(name, K):
    make, shape = LAYERS[name]
    model = randomize(K.Sequential([K.layers.Input(shape), make(K)]))
    x, (kernel,) = random(5, *shape), find_kernels(model)
    assert isinstance(kernel, Kernel)
    total, weights = kernel.layout.count(x.shape), kernel.read()
    rows = kernel.layout.rows(x, np.arange(total))
    inputs = rows.shape[2]
    bias = weights[:, inputs:].sum(1, keepdims=True)
    given = np.moveaxis(rows @ weights[:, :inputs] + bias, 0, 1)
    wanted = outputs(model, x)
    np.testing.assert_allclose(
        given.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5
    )
    some = np.array([1, total - 1])
    np.testing.assert_array_equal(kernel.layout.rows(x, some), rows[:, some])


@pytest.mark.parametrize("name", LAYERS)
def test_a_kernel_is_written_as_it_was_read(name, K):
    make, shape = LAYERS[name]
    model = randomize(K.Sequential([K.layers.Input(shape), make(K)]))
    (kernel,) = find_kernels(model)
    before = model.get_weights()
    kernel.write(kernel.read())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_kernel_with_a_batch_axis_has_a_group_for_each_of_its_entries(K):
    layer = K.layers.EinsumDense("abc,bcd->abd", (4, 3))
    model = randomize(K.Sequential([K.layers.Input((4, 5)), layer]))
    x, (kernel,) = random(6, 4, 5), find_kernels(model)
    rows = kernel.layout.rows(x, np.arange(6))
    assert rows.shape == (4, 6, 5)
    given = (rows @ kernel.read()).swapaxes(0, 1)
    np.testing.assert_allclose(given, outputs(model, x), rtol=1e-4, atol=1e-5)


def with_twins(K, make, shape):
    """Each channel comes twice, so that half of a kernel can do what all of it does."""
    inputs = K.layers.Input(shape)
    twice = K.layers.Concatenate()([inputs, inputs])
    return randomize(K.Model(inputs, make(K)(twice)))


# In the others no two inputs of the kernel are equal.
ALONE = ("separable", "groups", "depthwise")
TWINS = [name for name in LAYERS if not any(word in name for word in ALONE)]


@pytest.mark.parametrize("name", TWINS)
def test_what_is_left_takes_over_what_its_twins_did(name, K, undamped):
    make, shape = LAYERS[name]
    dense = with_twins(K, make, shape)
    pruned, x = copied(K, dense), random(80, *shape)
    (kernel,) = find_kernels(pruned)
    weights = kernel.read()
    twice = np.concatenate([x[:9], x[:9]], -1)
    every = np.arange(kernel.layout.count(twice.shape))
    rows = kernel.layout.rows(twice, every)[0]
    _, first = np.unique(rows, axis=1, return_index=True)
    weights[:, np.setdiff1d(np.arange(rows.shape[1]), first)] = 0
    kernel.write(weights)
    before, masks = difference(pruned, dense, x), zeros(pruned)
    (record,) = kpk.reconstruct(pruned, dense, data=x).weights
    assert record.sparsity == 0.5
    # Chosen places, or all of them, and relative to each output's own mean.
    assert record.error_before == pytest.approx(before, rel=0.5)
    assert difference(pruned, dense, x) < 1e-6 < before
    assert_same(zeros(pruned), masks)


def assert_same(arrays, others):
    for one, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(one, other)


def mlp(K):
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(10, activation="relu", name="first")(inputs)
    hidden = K.layers.Dense(8, activation="tanh", name="second")(hidden)
    return randomize(K.Model(inputs, K.layers.Dense(3, name="third")(hidden)))


def solved_by_lstsq(layers, x, masks):
    """Layer after layer, from the outputs that the solved ones before it give."""
    ones = np.ones((len(x), 1))
    given, wanted, found = x, x, []
    functions = (lambda v: np.maximum(v, 0), np.tanh, lambda v: v)
    for (kernel, bias), mask, function in zip(layers, masks, functions, strict=True):
        target, rows = wanted @ kernel + bias, np.hstack([given, ones])
        solved = np.zeros((len(kernel) + 1, len(bias)))
        for column in range(len(bias)):
            kept = np.append(mask[:, column], True)
            solved[kept, column] = np.linalg.lstsq(
                rows[:, kept], target[:, column], rcond=None
            )[0]
        found += [solved[:-1], solved[-1]]
        given, wanted = function(rows @ solved), function(target)
    return found


def test_each_layer_is_solved_from_what_the_solved_ones_before_it_give(K, undamped):
    dense, x = mlp(K), random(200, 12)
    pruned = prune(copied(K, dense), 0.6)
    values = [value.astype(np.float64) for value in dense.get_weights()]
    masks = [value != 0 for value in pruned.get_weights()[::2]]
    expected = solved_by_lstsq(
        list(zip(values[::2], values[1::2], strict=True)), x.astype(np.float64), masks
    )
    report = kpk.reconstruct(pruned, dense, data=x)
    for given, wanted in zip(pruned.get_weights(), expected, strict=True):
        np.testing.assert_allclose(given, wanted, atol=2e-4)
    assert [w.path for w in report.weights] == [
        "first/kernel",
        "second/kernel",
        "third/kernel",
    ]
    assert all(w.error_after < w.error_before for w in report.weights)
    assert "third/kernel" in str(report)


def left(report):
    return {item.path: item.reason for item in report.left}


SMALL = {
    "nested": (models.nested, (8,), 2),
    "residual": (models.residual, (8,), 2),
    "attention": (models.attention, (6, 8), 5),
    "convolutional": (models.convolutional, (8, 8, 3), 4),
}


@pytest.mark.parametrize("name", SMALL)
def test_models_come_closer_to_the_dense_one(name, K):
    build, shape, count = SMALL[name]
    dense, x = randomize(build(K)), random(300, *shape)
    pruned = prune(copied(K, dense), 0.5)
    before, masks = difference(pruned, dense, x[200:]), zeros(pruned)
    report = kpk.reconstruct(pruned, dense, data=x[:200])
    assert difference(pruned, dense, x[200:]) < 0.8 * before
    assert_same(zeros(pruned), masks)
    assert len(report.weights) == count
    assert all(w.error_after < w.error_before for w in report.weights)


def test_what_cannot_be_solved_is_left_with_a_reason(K):
    dense, x = randomize(models.convolutional(K)), random(50, 8, 8, 3)
    ((path, reason),) = left(
        kpk.reconstruct(prune(copied(K, dense)), dense, data=x)
    ).items()
    assert "depthwise" in path and reason.startswith(
        "depthwise: each output has too few"
    )
    inputs = K.layers.Input((4, 5, 5, 2))
    hidden = K.layers.ConvLSTM2D(2, 3)(inputs)
    model = randomize(K.Model(inputs, hidden))
    report = kpk.reconstruct(prune(copied(K, model)), model, data=random(9, 4, 5, 5, 2))
    assert [*left(report).values()] == [
        "recurrent convolutions are left as they are"
    ] * 2
    inputs = K.layers.Input((6, 4))
    model = randomize(K.Model(inputs, K.layers.GRU(3, reset_after=False)(inputs)))
    report = kpk.reconstruct(prune(copied(K, model)), model, data=random(50, 6, 4))
    assert [*left(report).values()] == [
        "its inputs are behind a gate: reset_after=False"
    ]
    ((path, rows),) = [(weight.path, weight.rows) for weight in report.weights]
    assert path.endswith("/kernel") and rows == 350


def test_a_depthwise_kernel_with_zeros_is_solved(K, undamped):
    inputs = K.layers.Input((7, 6, 3))
    dense = randomize(K.Model(inputs, K.layers.DepthwiseConv2D(3)(inputs)))
    pruned, x = copied(K, dense), random(20, 7, 6, 3)
    (kernel,) = find_kernels(pruned)
    weights, wanted = kernel.read(), kernel.read()
    weights[:, [0, 4]] = 0
    kernel.write(weights)
    kpk.reconstruct(pruned, dense, data=x)
    rows = kernel.layout.rows(x, np.arange(20 * 5 * 4)).astype(np.float64)
    for channel, solved in enumerate(kernel.read()):
        own = np.hstack([rows[channel], np.ones((400, 1))])
        mask = weights[channel] != 0
        expected = lstsq(own, own @ wanted[channel], mask)
        np.testing.assert_allclose(solved, expected, atol=1e-4)


def states(x, weights, steps):
    """The states before and after each step of a SimpleRNN, by numpy."""
    kernel, recurrent, bias = weights
    found = [np.zeros((len(x), len(recurrent)))]
    for step in range(steps):
        found.append(np.tanh(x[:, step] @ kernel + bias + found[-1] @ recurrent))
    return np.stack(found, 1)


def test_a_cell_is_solved_from_all_steps(K, undamped):
    inputs = K.layers.Input((5, 4))
    dense = randomize(K.Model(inputs, K.layers.SimpleRNN(6)(inputs)))
    pruned, x = prune(copied(K, dense)), random(60, 5, 4)
    values = [value.astype(np.float64) for value in dense.get_weights()]
    masks = [value != 0 for value in pruned.get_weights()]
    report = kpk.reconstruct(pruned, dense, data=x)
    kernel, _, bias = pruned.get_weights()
    # TensorFlow takes the first step twice, to see its outputs' shapes.
    steps = [0, *range(5)]
    rows, ones = x[:, steps].reshape(-1, 4).astype(np.float64), np.ones((360, 1))
    expected = lstsq(
        np.hstack([rows, ones]),
        rows @ values[0] + values[2],
        np.vstack([masks[0], np.ones((1, 6), bool)]),
    )
    np.testing.assert_allclose(np.vstack([kernel, bias]), expected, atol=1e-4)
    # From the states of the dense model.
    given = states(x, values, 5)[:, steps].reshape(-1, 6)
    expected = lstsq(given, given @ values[1], masks[1])
    np.testing.assert_allclose(pruned.get_weights()[1], expected, atol=1e-4)
    assert [w.rows for w in report.weights] == [360, 360]


def lstsq(rows, targets, mask):
    """Column by column, with zeros where the mask has them."""
    found = np.zeros(mask.shape)
    for column, kept in enumerate(mask.T):
        found[kept, column] = np.linalg.lstsq(
            rows[:, kept], targets[:, column], rcond=None
        )[0]
    return found


CELLS = {
    "lstm": lambda K: K.layers.LSTM(5),
    "lstm backwards": lambda K: K.layers.LSTM(5, go_backwards=True, use_bias=False),
    "gru": lambda K: K.layers.GRU(5),
    "cell": lambda K: K.layers.RNN(K.layers.LSTMCell(5)),
    "cells": lambda K: K.layers.RNN([K.layers.LSTMCell(5), K.layers.GRUCell(5)]),
    "bidirectional": lambda K: K.layers.Bidirectional(K.layers.GRU(5)),
}


@pytest.mark.parametrize("name", CELLS)
def test_twins_of_a_recurrent_layer_take_over(name, K, undamped):
    dense = with_twins(K, CELLS[name], (5, 3))
    pruned, x = copied(K, dense), random(80, 5, 3)
    for kernel in find_kernels(pruned):
        weights = kernel.read()
        if kernel.weight.shape[0] == 6:
            weights[:, :3] = 0
            kernel.write(weights)
    before = difference(pruned, dense, x)
    kpk.reconstruct(pruned, dense, data=x)
    assert difference(pruned, dense, x) < 1e-6 < before


def test_a_shared_layer_is_solved_once_for_all_of_its_calls(K, undamped):
    def build():
        left_one, right_one = K.layers.Input((4,)), K.layers.Input((4,))
        twin = K.layers.Dense(3, name="twin")
        last = K.layers.Dense(2, name="last")
        merged = K.layers.Concatenate()([twin(left_one), twin(right_one)])
        return K.Model([left_one, right_one], last(merged))

    dense, x = randomize(build()), [random(40, 4), random(40, 4, seed=1) + 2]
    pruned = prune(copied(K, dense), 0.5)
    kernel, bias, *_ = (value.astype(np.float64) for value in dense.get_weights())
    mask = pruned.get_weights()[0] != 0
    report = kpk.reconstruct(pruned, dense, data=x)
    rows = np.hstack([np.concatenate(x), np.ones((80, 1))])
    target = np.concatenate(x) @ kernel + bias
    given = np.vstack(pruned.get_weights()[:2])
    for column in range(3):
        kept = np.append(mask[:, column], True)
        wanted = np.linalg.lstsq(rows[:, kept], target[:, column], rcond=None)[0]
        np.testing.assert_allclose(given[kept, column], wanted, atol=1e-4)
    assert [(w.path, w.rows) for w in report.weights] == [
        ("twin/kernel", 80),
        ("last/kernel", 40),
    ]
    # The last layer was solved for what the solved twin gives.
    assert report.weights[1].error_after < report.weights[1].error_before


def test_a_shared_model_is_solved_layer_by_layer(K):
    def build():
        encoder = K.Sequential(
            [
                K.layers.Input((6,)),
                K.layers.Dense(8, activation="relu", name="a"),
                K.layers.Dense(5, name="b"),
            ],
            name="encoder",
        )
        one, other = K.layers.Input((6,)), K.layers.Input((6,))
        merged = K.layers.Subtract()([encoder(one), encoder(other)])
        return K.Model([one, other], K.layers.Dense(2, name="c")(merged))

    dense, x = randomize(build()), [random(90, 6), random(90, 6, seed=1)]
    pruned = prune(copied(K, dense), 0.5)
    before = difference(pruned, dense, x)
    report = kpk.reconstruct(pruned, dense, data=x)
    assert [(w.path, w.rows) for w in report.weights] == [
        ("encoder/a/kernel", 180),
        ("encoder/b/kernel", 180),
        ("c/kernel", 90),
    ]
    assert difference(pruned, dense, x) < 0.6 * before


def test_subclassed_models(K):
    dense, pruned = (randomize(models.subclassed(K)) for _ in range(2))
    x = random(100, 8)
    before = difference(prune(pruned), dense, x)
    report = kpk.reconstruct(pruned, dense, data=x)
    assert len(report.weights) == 2
    assert difference(pruned, dense, x) < 0.5 * before


def test_a_dense_model_stays_bit_for_bit(K):
    dense, x = randomize(models.residual(K)), random(50, 8)
    other = copied(K, dense)
    report = kpk.reconstruct(other, dense, data=x)
    assert_same(other.get_weights(), dense.get_weights())
    assert set(left(report).values()) == {
        "its outputs are those of the dense model already"
    }


def test_a_dead_layer_is_left_as_it_is(K):
    dense, x = mlp(K), random(50, 12)
    dense.get_layer("first").set_weights([random(12, 10), np.full(10, -1e3, "float32")])
    pruned = prune(copied(K, dense))
    report = kpk.reconstruct(pruned, dense, data=x)
    assert left(report)["second/kernel"] == (
        "its inputs or outputs do not vary on the data"
    )


def test_few_samples_are_said(K):
    dense, x = mlp(K), random(5, 12)
    pruned = prune(copied(K, dense))
    report = kpk.reconstruct(pruned, dense, data=x)
    assert report.weights[0].note == (
        "5 rows are fewer than the 12 inputs, so changes are held back; more data will "
        "help"
    )
    assert report.weights[0].note in str(report)


def test_a_kernel_above_the_memory_limit_is_solved_from_its_rows(K):
    dense, x = mlp(K), random(60, 12)
    by_products, by_rows = (prune(copied(K, dense), 0.8) for _ in range(2))
    kpk.reconstruct(by_products, dense, data=x)
    # 1,300 bytes hold 12 rows of 13 numbers, not the 13 x 13 products.
    report = kpk.reconstruct(by_rows, dense, data=x, memory_bytes=1300)
    first = report.weights[0]
    assert first.rows == 12
    assert (
        first.note == "solved from the rows, as the products of all inputs need 1.4 kB"
    )
    whole = kpk.reconstruct(prune(copied(K, dense), 0.8), dense, data=x)
    assert first.error_after < 2 * whole.weights[0].error_after + 0.5


def test_zero_channels_stay_zero(K):
    dense, x = mlp(K), random(100, 12)
    pruned = prune(copied(K, dense), structure=kpk.Channel())
    masks = zeros(pruned)
    assert masks[1].sum() == 5  # biases of channels that are gone
    kpk.reconstruct(pruned, dense, data=x)
    assert_same(zeros(pruned), masks)
    assert kpk.remove_zero_channels(pruned).get_layer("first").units == 5


def test_surgery_moves_zeros_to_where_less_is_lost(K):
    dense, x = mlp(K), random(300, 12) @ random(12, 12, seed=7)
    plain, better = (prune(copied(K, dense), 0.7) for _ in range(2))
    first = kpk.reconstruct(plain, dense, data=x).weights[0]
    moved = kpk.reconstruct(better, dense, data=x, surgery_rounds=4).weights[0]
    assert moved.sparsity == first.sparsity
    assert moved.error_after < 0.9 * first.error_after
    assert difference(better, dense, x) < difference(plain, dense, x)


def test_prune_at_once_returns_a_copy(K, caplog):
    dense, x = mlp(K), random(300, 12)
    before = dense.get_weights()
    with caplog.at_level(logging.DEBUG, "keras_prune_kit"):
        pruned = kpk.prune_at_once(dense, 0.6, data=x)
    assert_same(dense.get_weights(), before)
    assert kpk.sparsity_report(pruned).sparsity == pytest.approx(0.6, abs=0.005)
    masked = prune(copied(K, dense), 0.6, criterion=kpk.lamp, scope="global")
    assert_same(zeros(pruned), zeros(masked))
    assert difference(pruned, dense, x) < 0.7 * difference(masked, dense, x)
    assert "Reconstruction" in caplog.text


def test_prune_at_once_takes_policies_to_their_end(K):
    dense, x = mlp(K), random(100, 12)
    late = kpk.PolynomialDecay(0, 0.5, begin_step=kpk.Epochs(3), end_step=9_000_000)
    policy = kpk.PrunePolicy(
        late, [kpk.Rule("second|third", None)], structure=kpk.NofM(2, 4)
    )
    pruned = kpk.prune_at_once(dense, policy, data=x)
    report = kpk.sparsity_report(pruned)
    found = {w.path: w.sparsity for w in report.weights}
    assert found["first/kernel"] == 0.5 and found["third/kernel"] == 0
    kernel = pruned.get_layer("first").get_weights()[0].reshape(3, 4, 10)
    assert ((kernel != 0).sum(1) == 2).all()


def test_a_compiled_model_gives_a_compiled_copy(mlp, data):
    model = mlp()
    pruned = kpk.prune_at_once(model, 0.5, data=data[0])
    assert pruned.evaluate(*data, verbose=0, return_dict=True).keys() == {
        *("loss", "accuracy")
    }
    pruned.fit(*data, callbacks=[kpk.PruningCallback(kpk.KeepZeros())], verbose=0)
    assert kpk.sparsity_report(pruned).sparsity == pytest.approx(0.5, abs=0.01)


def test_inputs_by_name_and_datasets(K):
    dense = randomize(models.two_in_two_out(K))
    x = {"left": random(64, 8), "right": random(64, 4)}
    once = kpk.prune_at_once(dense, 0.5, data=x)
    again = kpk.prune_at_once(dense, 0.5, data=[x["left"], x["right"]])
    assert_same(once.get_weights(), again.get_weights())
    parts = [
        {key: value[i : i + 16] for key, value in x.items()} for i in (0, 16, 32, 48)
    ]
    batches = ((part, np.zeros(16)) for part in parts)
    third = kpk.prune_at_once(dense, 0.5, data=batches)
    assert_same(once.get_weights(), third.get_weights())


def with_nan():
    x = random(9, 8)
    x[4, 2] = np.nan
    return x


BAD_DATA = {
    "missing": (None, TypeError, "data are some hundred inputs"),
    "labels": ((random(9, 8), random(9)), TypeError, "without labels"),
    "shape": (random(9, 7), ValueError, r"shape \(n, 8\)"),
    "no samples": (random(0, 8), ValueError, "at least one"),
    "NaN": (with_nan(), ValueError, "are finite"),
    "two arrays": ([random(9, 8), random(9, 8)], ValueError, "one array for each"),
    "empty": ([], ValueError, "one array for each"),
    "empty batches": ([{}, {}], ValueError, "at least one"),
    "numbers": ([1, 2], TypeError, "one row per sample"),
    "text": ("x.npy", TypeError, "some hundred inputs"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name, K):
    data, error, message = BAD_DATA[name]
    dense = randomize(models.residual(K))
    pruned = prune(copied(K, dense))
    before = pruned.get_weights()
    for call in (
        lambda: kpk.reconstruct(pruned, dense, data=data),
        lambda: kpk.prune_at_once(dense, 0.5, data=data),
        lambda: kpk.reestimate_batch_norm(pruned, dense, data=data),
    ):
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert_same(pruned.get_weights(), before)


def test_bad_models(K):
    dense, x = randomize(models.residual(K)), random(20, 8)
    unbuilt = K.Sequential([K.layers.Dense(3)])
    wrong = [
        ((dense, dense), ValueError, "the model before it was pruned"),
        ((3, dense), TypeError, "is needed as pruned"),
        ((dense, None), TypeError, "is needed as dense_model"),
        ((unbuilt, dense), ValueError, "is not built"),
        ((dense, unbuilt), ValueError, "is not built"),
        ((dense, models.functional(K)), ValueError, "same layers in the same order"),
    ]
    for pair, error, message in wrong:
        with pytest.raises(error, match=message):
            kpk.reconstruct(*pair, data=x)
    with pytest.raises(ValueError, match="is not built"):
        kpk.prune_at_once(unbuilt, 0.5, data=x)
    with pytest.raises(ValueError, match="cannot need gradients"):
        policy = kpk.PrunePolicy(0.5, criterion=kpk.taylor)
        kpk.prune_at_once(dense, policy, data=x)
    with pytest.raises(ValueError, match="needs Unstructured"):
        policy = kpk.PrunePolicy(0.5, structure=kpk.NofM())
        kpk.prune_at_once(dense, policy, data=x, surgery_rounds=2)
    for sparsity in (1.0, -0.1, 90):
        with pytest.raises(ValueError, match="policy is the fraction"):
            kpk.prune_at_once(dense, sparsity, data=x)


def test_activations_that_are_not_finite_leave_the_model_unchanged(K):
    def build():
        inputs = K.layers.Input((12,))
        hidden = K.layers.Dense(10, name="first")(inputs)
        hidden = K.layers.Activation(lambda v: v / 0.0)(hidden)
        return K.Model(inputs, K.layers.Dense(3, name="second")(hidden))

    dense, pruned = randomize(build()), prune(randomize(build()))
    before = pruned.get_weights()
    with pytest.raises(ValueError, match="inputs of second/kernel must be finite"):
        kpk.reconstruct(pruned, dense, data=random(20, 12))
    assert_same(pruned.get_weights(), before)


def test_models_with_other_calls_do_not_match(K):
    def build(is_twice):
        inputs = K.layers.Input((8,))
        layer = K.layers.Dense(8, name="again")
        hidden = layer(layer(inputs)) if is_twice else layer(inputs)
        return randomize(K.Model(inputs, hidden))

    pruned = prune(build(False))
    before = pruned.get_weights()
    with pytest.raises(ValueError, match="is called 1 times in the pruned model, 2 in"):
        kpk.reconstruct(pruned, build(True), data=random(20, 8))
    assert_same(pruned.get_weights(), before)


def test_a_layer_that_only_the_dense_model_calls_does_not_match(K):
    class Net(K.Model):
        def __init__(self, is_whole):
            super().__init__()
            self.is_whole = is_whole
            self.first = K.layers.Dense(8)
            self.last = K.layers.Dense(8)

        def call(self, inputs):
            hidden = self.first(inputs)
            return self.last(hidden) if self.is_whole else hidden

    dense, pruned = Net(True), Net(True)
    for model in (dense, pruned):
        model(np.zeros((1, 8), "float32"))
        randomize(model)
    prune(pruned).is_whole = False
    with pytest.raises(ValueError, match="is called 0 times"):
        kpk.reconstruct(pruned, dense, data=random(20, 8))
    pruned.is_whole, dense.is_whole = True, False
    reasons = left(kpk.reconstruct(pruned, dense, data=random(20, 8)))
    assert list(reasons.values()) == ["the model does not call it"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(K, policy):
    global_policy = (
        K.config.set_dtype_policy
        if K.__name__ == "keras"
        else K.mixed_precision.set_global_policy
    )
    global_policy(policy)
    dense, x = mlp(K), random(200, 12)
    pruned = prune(copied(K, dense))
    before = difference(pruned, dense, x)
    kpk.reconstruct(pruned, dense, data=x)
    assert difference(pruned, dense, x) < 0.7 * before


def test_layers_are_left_without_a_mark(K):
    dense, x = mlp(K), random(40, 12)
    pruned = prune(copied(K, dense))
    before = {layer.name: set(vars(layer)) for layer in pruned.layers}
    kpk.reconstruct(pruned, dense, data=x)
    for layer in pruned.layers:
        assert "call" not in vars(layer)
        assert {*vars(layer)} - before[layer.name] <= {"_saved_model_inputs_spec"}


def with_norm(K):
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(10, use_bias=False, name="first")(inputs)
    hidden = K.layers.BatchNormalization(name="norm")(hidden)
    hidden = K.layers.Activation("relu")(hidden)
    return randomize(K.Model(inputs, K.layers.Dense(3, name="second")(hidden)))


def test_batch_norm_gets_the_averages_of_its_inputs(K):
    # What the zeros do to the means outweighs what they do to the variances.
    dense, x = with_norm(K), random(200, 12) + 5
    norm = dense.get_layer("norm")
    kernel = dense.get_layer("first").get_weights()[0]
    gamma, beta, *_ = norm.get_weights()
    given = x @ kernel
    norm.set_weights([gamma, beta, given.mean(0), given.var(0)])
    pruned = prune(copied(K, dense), 0.5)
    before = difference(pruned, dense, x)
    assert kpk.reestimate_batch_norm(pruned, dense, data=x) is True
    assert difference(pruned, dense, x) < 0.7 * before
    given = x @ pruned.get_layer("first").get_weights()[0]
    *_, mean, variance = pruned.get_layer("norm").get_weights()
    np.testing.assert_allclose(mean, given.mean(0), atol=1e-5)
    np.testing.assert_allclose(variance, given.var(0), rtol=1e-4)


def test_batch_norm_averages_that_make_it_worse_are_not_kept(K):
    dense, x = with_norm(K), random(200, 12)
    same = copied(K, dense)
    before = same.get_weights()
    # The stored averages are not those of the data, but the dense outputs are theirs.
    assert kpk.reestimate_batch_norm(same, dense, data=x) is False
    assert_same(same.get_weights(), before)


def shared(K):
    """Twins, with a layer between their calls."""
    inputs = K.layers.Input((8,))
    twin = K.layers.Dense(8, activation="relu", name="twin")
    hidden = K.layers.Dense(8, name="between")(twin(inputs))
    return K.Model(inputs, K.layers.Dense(3, name="last")(twin(hidden)))


BATCHED = {
    **{name: (build, shape) for name, (build, shape, _) in SMALL.items()},
    "recurrent": (models.recurrent, (6, 4)),
    "shared": (shared, (8,)),
    "subclassed": (models.subclassed, (8,)),
}


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("batch_size", [16, 23])
def test_batches_give_what_all_samples_at_once_give(name, batch_size, K):
    build, shape = BATCHED[name]
    dense, x = randomize(build(K)), random(64, *shape)
    whole, parts = build(K), build(K)
    for model in (whole, parts):
        model.set_weights(dense.get_weights())
        prune(model)
    one = kpk.reconstruct(whole, dense, data=x)
    other = kpk.reconstruct(parts, dense, data=x, batch_size=batch_size)
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(one.weights, other.weights, strict=True):
        # Names of layers are numbered through.
        assert (a.path.rpartition("/")[2], a.rows) == (
            b.path.rpartition("/")[2],
            b.rows,
        )
        assert a.error_after == pytest.approx(b.error_after, rel=1e-3, abs=1e-6)


def test_rows_are_shared_by_batches_and_calls(K, monkeypatch):
    monkeypatch.setattr(repair, "MOST_ROWS", 40)
    dense, x = randomize(shared(K)), random(80, 8)
    for batch_size, rows in ((None, (40, 40, 40)), (20, (40, 40, 40))):
        pruned = prune(copied(K, dense))
        report = kpk.reconstruct(pruned, dense, data=x, batch_size=batch_size)
        assert tuple(w.rows for w in report.weights) == rows


@pytest.mark.parametrize("batch_size", [None, 8])
def test_a_model_of_a_fixed_batch_size_gets_batches_of_it(K, batch_size):
    inputs = K.layers.Input((12,), batch_size=8)
    # Other batches have another shape there.
    hidden = K.layers.Reshape((2, 6))(inputs)
    hidden = K.layers.LSTM(5, stateful=True)(hidden)
    dense = randomize(K.Model(inputs, K.layers.Dense(3)(hidden)))
    pruned, x = prune(copied(K, dense)), random(84, 12)
    report = kpk.reconstruct(pruned, dense, data=x, batch_size=batch_size)
    assert [w.rows for w in report.weights] == [240, 240, 80]
    assert kpk.prune_at_once(dense, 0.5, data=x).count_params() == dense.count_params()
    assert kpk.reestimate_batch_norm(pruned, dense, data=x) is False
    with pytest.raises(ValueError, match="samples each. Received: 7"):
        kpk.reconstruct(pruned, dense, data=x[:7])
    with pytest.raises(ValueError, match=", 8, or None. Received: 4"):
        kpk.reconstruct(pruned, dense, data=x, batch_size=4)


def test_a_stateful_layer_starts_each_pass_anew(K):
    inputs = K.layers.Input((5, 4), batch_size=10)
    dense = randomize(K.Model(inputs, K.layers.LSTM(6, stateful=True)(inputs)))
    plain = K.layers.Input((5, 4))
    reference = K.Model(plain, K.layers.LSTM(6)(plain))
    # Weights alone, as Keras 2 lists states among them.
    reference.set_weights([np.array(w) for w in dense.trainable_weights])
    pruned, wanted, x = copied(K, dense), copied(K, reference), random(30, 5, 4)
    kpk.reconstruct(prune(pruned), dense, data=x)
    kpk.reconstruct(prune(wanted), reference, data=x)
    for a, b in zip(pruned.trainable_weights, wanted.trainable_weights, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), atol=1e-5)


def test_a_bad_batch_size(K):
    dense, x = mlp(K), random(20, 12)
    pruned = prune(copied(K, dense))
    before = pruned.get_weights()
    for call in (
        lambda size: kpk.reconstruct(pruned, dense, data=x, batch_size=size),
        lambda size: kpk.prune_at_once(dense, 0.5, data=x, batch_size=size),
        lambda size: kpk.reestimate_batch_norm(pruned, dense, data=x, batch_size=size),
    ):
        for size in (0, -2, 1.5, True, "8"):
            with pytest.raises(ValueError, match="batch_size is a whole number"):
                call(size)
    assert_same(pruned.get_weights(), before)


def test_an_error_in_a_later_batch_leaves_the_model_unchanged(K):
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(10, name="first")(inputs)
    # Infinite in the last batch alone.
    hidden = K.layers.Activation("exponential")(hidden)
    dense = randomize(K.Model(inputs, K.layers.Dense(3, name="second")(hidden)))
    pruned, x = prune(copied(K, dense)), random(20, 12)
    x[17] *= 1e9
    before = pruned.get_weights()
    with pytest.raises(ValueError, match="inputs of second/kernel must be finite"):
        kpk.reconstruct(pruned, dense, data=x, batch_size=5)
    assert_same(pruned.get_weights(), before)


def test_batch_norm_sums_over_batches(K):
    inputs = K.layers.Input((12,))
    hidden, one = inputs, K.layers.Dense(10, activation="relu", name="first")
    for layer in (one, K.layers.BatchNormalization(), K.layers.Dense(10)):
        hidden = layer(hidden)
    norm = K.layers.BatchNormalization(name="twice")
    hidden = K.layers.Dense(10)(norm(hidden))
    outputs_ = K.layers.Dense(3)(norm(hidden))
    dense, x = randomize(K.Model(inputs, outputs_)), random(64, 12)
    found = []
    for batch_size in (None, 16, 23):
        pruned = prune(copied(K, dense), 0.5)
        kpk.reestimate_batch_norm(pruned, dense, data=x, batch_size=batch_size)
        found.append(pruned.get_weights())
    for values in found[1:]:
        for a, b in zip(found[0], values, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
