"""Pruning without training, on each backend."""

import keras
import numpy as np

import keras_prune_kit as kpk


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
    assert kpk.distill(pruned, model, data=x, epochs=20, learning_rate=2e-3) is True
    error = np.square(outputs(pruned, new) - wanted).mean()
    assert error < 0.9 * np.square(before - wanted).mean()
    for old, value in zip(zeros, pruned.get_weights(), strict=True):
        np.testing.assert_array_equal(np.array(value) == 0, old)
