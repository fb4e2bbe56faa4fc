"""Training towards the dense model's outputs without labels, in both worlds."""

import numpy as np
import pytest
from random_values import random

import keras_prune_kit as kpk


def blobs(count, seed=0):
    """Points around three centres, and which."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    centres = np.random.default_rng(7).normal(size=(3, 12)) * 2
    return (centres[y] + rng.normal(size=(count, 12))).astype("float32"), y


def classifier(K, activation="softmax"):
    K.utils.set_random_seed(0)
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(32, activation="relu")(inputs)
    hidden = K.layers.BatchNormalization()(hidden)
    model = K.Model(inputs, K.layers.Dense(3, activation=activation)(hidden))
    from_logits = activation is None
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(*blobs(600), epochs=4, verbose=0)
    return model


def pruned_from(model, sparsity=0.8):
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(sparsity), scope="global")
    return kpk.prune_at_once(model, policy, data=random(64, 12))


def squared_error(a, b, x):
    return float(np.square(a.predict(x, verbose=0) - b.predict(x, verbose=0)).mean())


@pytest.mark.parametrize("activation", ["softmax", None])
def test_outputs_on_new_samples_come_closer_to_the_dense_ones(activation, K):
    dense = classifier(K, activation)
    pruned, (x, _), (new, _) = pruned_from(dense), blobs(256, 1), blobs(500, 2)
    before, optimizer = squared_error(pruned, dense, new), pruned.optimizer
    zeros = [weight == 0 for weight in pruned.get_weights()]
    steps = int(np.asarray(optimizer.iterations))
    assert kpk.distill(pruned, dense, data=x, epochs=15, learning_rate=3e-3) is True
    assert squared_error(pruned, dense, new) < 0.6 * before
    for old, value in zip(zeros, pruned.get_weights(), strict=True):
        if value.ndim == 2:
            np.testing.assert_array_equal(value == 0, old)
    # It is compiled as it was, and has taken no step of its own.
    assert pruned.optimizer is optimizer
    assert int(np.asarray(optimizer.iterations)) == steps


def test_what_comes_no_closer_is_not_kept(K):
    dense = classifier(K)
    same = K.models.clone_model(dense)
    same.set_weights(dense.get_weights())
    before = same.get_weights()
    data = blobs(64, 1)[0]
    # The dense outputs themselves are as close as can be.
    assert kpk.distill(same, dense, data=data, epochs=2) is False
    for old, new in zip(before, same.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_dict_of_outputs_of_different_sizes(K):
    inputs = K.layers.Input((12,))
    hidden = K.layers.Dense(24, activation="tanh")(inputs)
    outputs = {
        "large": K.layers.Dense(2)(hidden),
        "kind": K.layers.Dense(3, activation="softmax")(hidden),
    }
    dense = K.Model(inputs, outputs)
    weights = dense.get_weights()
    dense.set_weights([w * 300 if w.shape == (24, 2) else w for w in weights])
    pruned, x = pruned_from(dense, 0.7), random(300, 12, seed=3)
    new = random(300, 12, seed=4)

    def errors():
        wanted, given = (m.predict(new, verbose=0) for m in (dense, pruned))
        return {k: float(np.square(wanted[k] - given[k]).mean()) for k in wanted}

    before = errors()
    assert kpk.distill(pruned, dense, data=x, epochs=20, learning_rate=2e-3)
    after = errors()
    # None of the two drowns the other.
    assert after["large"] < before["large"] and after["kind"] < before["kind"]


def test_bad_arguments_leave_the_model_as_it_was(K):
    dense = classifier(K)
    pruned = pruned_from(dense)
    before, x = pruned.get_weights(), random(32, 12)
    for arguments, error, message in (
        ({"data": x[:15]}, ValueError, "at least 16 samples.*Received: 15"),
        ({"data": random(20, 11)}, ValueError, "shape"),
        ({"data": x, "epochs": 0}, ValueError, "epochs"),
        ({"data": x, "batch_size": 0}, ValueError, "batch_size"),
        ({"data": x, "learning_rate": 0.0}, ValueError, "learning_rate"),
        ({"data": x, "learning_rate": "fast"}, (TypeError, ValueError), "learning"),
    ):
        with pytest.raises(error, match=message):
            kpk.distill(pruned, dense, **arguments)
    other = K.Sequential([K.layers.Input((12,)), K.layers.Dense(4)])
    for function in (kpk.distill, kpk.reestimate_batch_norm):
        with pytest.raises(ValueError, match="outputs of pruned and dense_model"):
            function(pruned, other, data=x)
    for old, new in zip(before, pruned.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
