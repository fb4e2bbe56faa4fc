"""Pruning without training, on each backend."""

import keras
import numpy as np

import keras_prune_kit as kpk
from keras_prune_kit.reconstruction import fewest_bits


def trained_like(seed=0):
    """A convolution, a residual branch, attention and batch normalization."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    branch = keras.layers.Conv2D(8, 1, activation="relu")(hidden)
    hidden = keras.layers.Reshape((64, 8))(keras.layers.Add()([hidden, branch]))
    hidden = keras.layers.MultiHeadAttention(2, 4)(hidden, hidden)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False)).astype("float64")


def test_a_pruned_copy_is_repaired():
    model, rng = trained_like(), np.random.default_rng(0)
    x = rng.normal(size=(60, 8, 8, 3)).astype("float32") + 1
    wanted, before = outputs(model, x), [np.array(w) for w in model.get_weights()]
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.6), scope="global")
    masked = keras.models.clone_model(model)
    masked.set_weights(model.get_weights())
    pruner = kpk.Pruner(masked, policy, optimizer=keras.optimizers.SGD())
    pruner.start()
    pruner.finalize()
    pruned = kpk.prune_at_once(model, policy, data=x)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    values = zip(before, masked.get_weights(), pruned.get_weights(), strict=True)
    for old, one, other in values:
        # Biases are zero before they are solved.
        zeros = (one == 0) & (old != 0)
        np.testing.assert_array_equal(zeros, (other == 0) & (old != 0))
    error = np.square(outputs(pruned, x) - wanted).mean()
    assert error < 0.3 * np.square(outputs(masked, x) - wanted).mean()
    report = kpk.reconstruct(masked, model, data=x)
    assert len(report.weights) + len(report.left) == 7
    np.testing.assert_allclose(outputs(masked, x), outputs(pruned, x), atol=1e-4)


def test_batch_norm_is_kept_only_if_it_helps():
    model = trained_like()
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 3)).astype("float32")
    same = keras.models.clone_model(model)
    same.set_weights(model.get_weights())
    assert kpk.reestimate_batch_norm(same, model, data=x) is False
    for old, new in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_outputs_come_closer_by_training_without_labels():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12,))
    hidden = keras.layers.Dense(24, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    x = np.random.default_rng(0).normal(size=(300, 12)).astype("float32")
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.7), scope="global")
    pruned = kpk.prune_at_once(model, policy, data=x)
    zeros = [np.array(weight) == 0 for weight in pruned.get_weights()]
    new = np.random.default_rng(1).normal(size=(300, 12)).astype("float32")
    wanted, before = outputs(model, new), outputs(pruned, new)
    assert kpk.distill(pruned, model, data=x, epochs=40, learning_rate=5e-3) is True
    error = np.square(outputs(pruned, new) - wanted).mean()
    assert error < 0.9 * np.square(before - wanted).mean()
    for old, value in zip(zeros, pruned.get_weights(), strict=True):
        if old.ndim > 1:  # A bias that was zero may become anything.
            np.testing.assert_array_equal(np.array(value) == 0, old)


def recurrent_and_transposed():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3, 4))
    hidden = keras.layers.Conv1DTranspose(6, 3, strides=2, padding="same")(inputs)
    both = keras.layers.Bidirectional(keras.layers.GRU(5, return_sequences=True))
    hidden = keras.layers.LSTM(5)(both(hidden))
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def test_recurrent_and_transposed_kernels_in_batches():
    model, rng = recurrent_and_transposed(), np.random.default_rng(0)
    x = rng.normal(size=(40, 3, 4)).astype("float32")
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    found = []
    for batch_size in (None, 12):
        pruned = kpk.prune_at_once(model, policy, data=x, batch_size=batch_size)
        found.append(pruned)
    for a, b in zip(*(pruned.get_weights() for pruned in found), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    masked = keras.models.clone_model(model)
    values = zip(model.get_weights(), found[0].get_weights(), strict=True)
    masked.set_weights([np.where(new == 0, 0, old) for old, new in values])
    wanted = outputs(model, x)
    error = np.square(outputs(found[1], x) - wanted).mean()
    assert error < np.square(outputs(masked, x) - wanted).mean()
    report = kpk.reconstruct(masked, model, data=x)
    assert len(report.weights) == 8 and not report.left
    assert all(w.error_after < w.error_before for w in report.weights)


def test_stopped_passes_leave_layers_as_they_were():
    model = recurrent_and_transposed()
    x = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    before = outputs(model, x)
    kpk.prune_at_once(model, 0.5, data=x, batch_size=3)
    for layer in model.layers:
        assert "call" not in vars(layer)
    np.testing.assert_array_equal(outputs(model, x), before)


def test_rounded_weights_have_few_values():
    model = trained_like()
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 3)).astype("float32") + 1
    rounded = kpk.prune_at_once(model, 0.0, data=x, weight_bits=4)
    normalization = rounded.layers[2]
    variance = np.asarray(normalization.get_weights()[3], np.float64)
    kernels = [
        rounded.layers[1].get_weights()[0] / np.sqrt(variance + 1e-3),
        rounded.layers[-1].get_weights()[0],
    ]
    for kernel in kernels:
        step = np.abs(kernel).max(tuple(range(kernel.ndim - 1))) / 7
        np.testing.assert_allclose(kernel / step, np.rint(kernel / step), atol=1e-4)
        # Four significant bits, so that files compress well.
        fraction = np.frexp(step)[0] * 16
        np.testing.assert_allclose(fraction, np.rint(fraction), atol=1e-3)
    wanted = outputs(model, x)
    nearest = keras.models.clone_model(model)
    values = [np.asarray(value) for value in model.get_weights()]
    nearest.set_weights([_nearest(v) if v.ndim > 1 else v for v in values])
    error = np.square(outputs(rounded, x) - wanted).mean()
    assert error < 0.3 * np.square(outputs(nearest, x) - wanted).mean()


def test_each_layer_has_the_fewest_bits_it_needs():
    model, rng = trained_like(), np.random.default_rng(0)
    x = rng.normal(size=(60, 8, 8, 3)).astype("float32") + 1
    head = model.layers[-1]
    head.kernel.assign(rng.choice([-0.5, 0.5], head.kernel.shape))
    before = outputs(model, x)
    bits = fewest_bits(model, x, most_divergence=0.0)
    np.testing.assert_array_equal(outputs(model, x), before)
    assert bits.pop(head.name) == 2
    assert len(bits) == 6 and {*bits.values()} == {8}
    mixed = {**bits, head.name: 2}
    rounded = kpk.prune_at_once(model, 0.0, data=x, weight_bits=mixed)
    assert len(np.unique(rounded.layers[-1].get_weights()[0][:, 0])) <= 3
    error = np.square(outputs(rounded, x) - before).mean() / before.var()
    assert error < 1e-3


def _nearest(kernel):
    """By one step, of the largest weight."""
    step = np.abs(kernel).max() / 7 or 1.0  # Biases of attention are zeros.
    return np.round(kernel / step) * step
