"""Training loops of one's own: any optimizer, two models at once, and wrong turns."""

import models
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk

OPTIMIZERS = {
    "adam": lambda K: K.optimizers.Adam(0.01),
    "momentum": lambda K: K.optimizers.SGD(0.1, momentum=0.9),
    "weight decay": lambda K: K.optimizers.AdamW(0.01),
    "lion": lambda K: K.optimizers.Lion(0.01),
}


def make_train_step(model, optimizer, loss_of):
    """A compiled step that is not traced yet."""

    @tf.function
    def train_step(*batch):
        with tf.GradientTape() as tape:
            loss = loss_of(*batch)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return train_step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_are_sparse_after_every_compiled_step(K, name):
    model = models.sequential(K)
    optimizer = OPTIMIZERS[name](K)
    train_step = make_train_step(
        model, optimizer, lambda x: tf.reduce_mean((model(x, training=True) - 1) ** 2)
    )
    x = tf.constant(np.random.default_rng(0).normal(size=(16, 8)), tf.float32)
    losses = []
    with kpk.Pruner(model, 0.75, steps_per_epoch=10, epochs=2) as pruner:
        for _ in range(20):
            losses.append(float(train_step(x)))
            for weight in pruner.weights:
                # Before step(): the compiled step itself has applied the mask.
                assert weight.size - weight.nonzero().size == weight.zeros
            pruner.step()
    assert [weight.zeros for weight in pruner.report().weights] == [96, 36]
    assert losses[-1] < losses[0]


def test_two_models_with_two_pruners_that_train_each_other(K):
    """As in a GAN: each has its own policy, optimizer and turn."""
    generator = K.Sequential(
        [K.layers.Input((4,)), K.layers.Dense(16, activation="relu"), K.layers.Dense(8)]
    )
    critic = K.Sequential(
        [K.layers.Input((8,)), K.layers.Dense(16, activation="relu"), K.layers.Dense(1)]
    )
    loss_of = K.losses.BinaryCrossentropy(from_logits=True)

    def critic_loss(real, noise):
        fake = critic(generator(noise))
        judged = critic(real)
        return loss_of(tf.ones_like(judged), judged) + loss_of(
            tf.zeros_like(fake), fake
        )

    def generator_loss(noise):
        fake = critic(generator(noise))
        return loss_of(tf.ones_like(fake), fake)

    critic_step = make_train_step(critic, K.optimizers.Adam(0.01), critic_loss)
    generator_step = make_train_step(
        generator, K.optimizers.SGD(0.1, momentum=0.9), generator_loss
    )
    rng = np.random.default_rng(0)
    before = [model.get_weights() for model in (generator, critic)]
    with (
        kpk.Pruner(generator, 0.75, steps_per_epoch=6, epochs=2) as generator_pruner,
        # Two steps of the critic for each of the generator.
        kpk.Pruner(critic, 0.5, steps_per_epoch=12, epochs=2) as critic_pruner,
    ):
        for _ in range(12):
            for _ in range(2):
                real = tf.constant(rng.normal(size=(16, 8)), tf.float32)
                noise = tf.constant(rng.normal(size=(16, 4)), tf.float32)
                critic_step(real, noise)
                critic_pruner.step()
            generator_step(noise)
            generator_pruner.step()
            assert kpk.sparsity_report(generator).zeros == sum(
                weight.zeros for weight in generator_pruner.weights
            )
    assert [w.zeros for w in generator_pruner.report().weights] == [48, 96]
    assert [w.zeros for w in critic_pruner.report().weights] == [64, 8]
    for model, old in zip((generator, critic), before, strict=True):
        assert not np.array_equal(model.get_weights()[1], old[1])
        assert all(v.constraint is None for v in model.trainable_variables)


def test_the_end_of_one_pruner_leaves_the_other_at_work(K):
    models_ = [models.sequential(K), models.sequential(K)]
    first, second = (kpk.Pruner(m, kpk.ConstantSparsity(0.5)) for m in models_)
    first.start()
    second.start()
    first.finalize()
    second.step()
    assert all(v.constraint is None for v in models_[0].trainable_variables)
    assert any(v.constraint is not None for v in models_[1].trainable_variables)
    second.finalize()


def test_a_step_before_the_start_and_after_the_end_is_one_clear_sentence(K):
    pruner = kpk.Pruner(models.sequential(K), 0.5, steps_per_epoch=1, epochs=1)
    with pytest.raises(RuntimeError, match="between start.* and finalize"):
        pruner.step()
    with pruner:
        pruner.step()
    with pytest.raises(RuntimeError, match="between start.* and finalize"):
        pruner.step()


def test_a_pruner_that_goes_on_starts_where_the_run_was(K):
    ramp = kpk.PolynomialDecay(0.0, 0.8, end_step=20, frequency=1)
    model = models.sequential(K)
    with pytest.warns(kpk.IncompletePruningWarning, match="ended at step 11"):
        with kpk.Pruner(model, ramp, initial_step=10) as pruner:
            assert pruner.weights[0].zeros == round(ramp(10) * 128)
            pruner.step()
            assert pruner.weights[0].zeros == round(ramp(11) * 128)


@pytest.mark.parametrize("step", [-1, 0.5, None])
def test_an_initial_step_that_is_none_is_named(K, step):
    with pytest.raises(ValueError, match="initial_step.*Received"):
        kpk.Pruner(models.sequential(K), 0.5, initial_step=step)
