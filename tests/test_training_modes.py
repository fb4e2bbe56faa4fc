"""Exactly sparse in every way that Keras can train, in both worlds."""

import numpy as np
import pytest
from marks import slow
from modes import MODES, build, legacy, set_dtype_policy

import keras_prune_kit as kpk


@pytest.mark.each_value
@pytest.mark.parametrize(
    "mode",
    # Also in test_distribution.py, and here in half precision.
    [slow(mode) if mode == "mirrored" else mode for mode in MODES],
)
def test_sparsity_is_exact_to_the_weight(K, mode, data):
    precision = next((p for p in mode.split() if p.startswith("mixed")), "float32")
    set_dtype_policy(K, precision)
    model = MODES[mode](K)
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    model.fit(*data, epochs=4, batch_size=16, verbose=0, callbacks=[pruning])
    for kernel in model.get_weights()[::2]:
        assert np.count_nonzero(kernel == 0) == round(0.8 * kernel.size)
    assert [weight.zeros for weight in pruning.report.weights] == [102, 38]


@pytest.mark.each_value
@pytest.mark.parametrize("mode", ["plain", "jit_compile", "steps_per_execution"])
def test_a_model_that_was_trained_before_is_pruned_too(K, mode, data):
    """The commonest flow: the train function traced before does not know masks."""
    model = MODES[mode](K)
    model.fit(*data, epochs=1, batch_size=16, verbose=0)
    with_masks = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    model.fit(*data, epochs=2, batch_size=16, verbose=0, callbacks=[with_masks])
    assert [weight.zeros for weight in with_masks.report.weights] == [102, 38]


def test_a_later_fit_without_the_callback_is_a_plain_fit(K, data):
    model = build(K)
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
    model.fit(*data, epochs=2, verbose=0)
    assert kpk.sparsity_report(model).sparsity < 0.5


def test_weights_are_sparse_at_every_batch_whoever_looks(K, data):
    """A callback listed before ours sees masked weights, as a checkpoint would."""
    seen = []

    class Look(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(np.count_nonzero(self.model.get_weights()[0] == 0))

    model = build(K)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.8))
    model.fit(
        *data, epochs=2, verbose=0, callbacks=[Look(), kpk.PruningCallback(policy)]
    )
    assert set(seen) == {102}


def test_embeddings_under_a_legacy_optimizer(K, data):
    """Keras 2 refuses a constraint where gradients are sparse."""
    model = K.Sequential(
        [
            K.layers.Input((6,), dtype="int32"),
            K.layers.Embedding(20, 8),
            K.layers.GlobalAveragePooling1D(),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(legacy(K), "sparse_categorical_crossentropy")
    tokens = np.random.default_rng(0).integers(0, 20, (128, 6))
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    model.fit(tokens, data[1], epochs=3, verbose=0, callbacks=[pruning])
    assert [weight.zeros for weight in pruning.report.weights] == [128, 19]
    assert model.layers[0].embeddings.constraint is None


def test_averages_are_sparse_while_training(K, data):
    """What `use_ema` keeps becomes the weights when callbacks swap it in."""
    model = MODES["ema"](K)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.8))
    zeros = []

    class Look(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            averages = self.model.optimizer._model_variables_moving_average
            zeros.append(np.count_nonzero(np.asarray(averages[0].numpy()) == 0))

    model.fit(
        *data, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(policy), Look()]
    )
    assert zeros == [102, 102]
