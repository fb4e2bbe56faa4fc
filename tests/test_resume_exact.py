"""A run that is killed and resumed ends bit for bit where it would have ended."""

import os
import signal
import subprocess
import sys
import textwrap

import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk

POLICY = kpk.PolynomialDecay(0.1, 0.8, begin_step=3, end_step=18, frequency=4)
OPTIMIZERS = {
    "adam": lambda K: K.optimizers.Adam(0.01),
    "momentum": lambda K: K.optimizers.SGD(0.1, momentum=0.9),
    "weight decay": lambda K: K.optimizers.AdamW(0.01),
    "lion": lambda K: K.optimizers.Lion(0.01),
    "ema": lambda K: K.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=7),
}
POLICIES = {
    "global": kpk.PrunePolicy(POLICY, scope="global"),
    "block": kpk.PrunePolicy(POLICY, structure=kpk.Block((2, 2))),
    "n of m": kpk.PrunePolicy(
        kpk.PolynomialDecay(0.1, 0.5, 3, 18, frequency=4), structure=kpk.NofM(2, 4)
    ),
    "channel": kpk.PrunePolicy(POLICY, structure=kpk.Channel()),
    "at once": kpk.PrunePolicy(kpk.ConstantSparsity(0.6, begin_step=5)),
    "random": kpk.PrunePolicy(POLICY, criterion=kpk.random_scores(3)),
    "zeros score high": kpk.PrunePolicy(POLICY, criterion=lambda w: -abs(w)),
    "zeros score high, block": kpk.PrunePolicy(
        POLICY, criterion=lambda w: -abs(w), structure=kpk.Block((2, 2))
    ),
    "zeros score high, global": kpk.PrunePolicy(
        POLICY, criterion=lambda w: -abs(w), scope="global"
    ),
}


def train(K, folder, make_optimizer, policy, *spans):
    """Trains step by step; each span goes on from a checkpoint of the one before."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 8)).astype("float32")
    for span in spans:
        model = models.sequential(K)
        optimizer = make_optimizer(K)
        optimizer.build(model.trainable_variables)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
        if span.start:
            checkpoint.read(str(folder / str(span.start))).assert_consumed()

        @tf.function
        def train_step(batch, model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(batch) - batch[:, :3]) ** 2)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        pruner = kpk.Pruner(model, policy, initial_step=span.start)
        pruner.start()
        for step in span:
            start = 16 * (step % 5)
            train_step(tf.constant(x[start : start + 16]))
            pruner.step()
        checkpoint.write(str(folder / str(span.stop)))
        pruner.detach()
    return [np.array(variable) for variable in model.variables]


def check_cuts(K, *arguments):
    """Cut between two updates of the masks, and right after one."""
    K.utils.set_random_seed(2)
    whole = train(K, *arguments, range(20))
    K.utils.set_random_seed(2)
    cut = train(K, *arguments, range(9), range(9, 11), range(11, 20))
    assert (whole[0] == 0).mean() >= 0.5
    assert all(map(np.array_equal, whole, cut))


@pytest.mark.each_value
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_makes_no_difference_to_an_optimizer_where_a_run_is_cut(K, tmp_path, name):
    check_cuts(K, tmp_path, OPTIMIZERS[name], kpk.PrunePolicy(POLICY))


@pytest.mark.each_value
@pytest.mark.parametrize("name", POLICIES)
def test_it_makes_no_difference_to_a_policy_where_a_run_is_cut(tmp_path, name):
    check_cuts(keras, tmp_path, OPTIMIZERS["adam"], POLICIES[name])


COMMON = """
    import os, signal, sys
    import numpy as np
    import {world} as K
    import tensorflow as tf
    import keras_prune_kit as kpk

    folder, how = sys.argv[1:]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    policy = kpk.PrunePolicy(kpk.PolynomialDecay(0.1, 0.8, frequency=3))
    STEPS, EPOCHS = 8, 6

    def build():
        K.utils.set_random_seed(1)
        return K.Sequential([
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(2, activation="softmax"),
        ])

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)
"""

LOOP = """
    def train(kill_at=None):
        model, optimizer = build(), K.optimizers.Adam(0.01)
        optimizer.build(model.trainable_variables)
        loss_of = K.losses.SparseCategoricalCrossentropy()
        done = tf.Variable(0, trainable=False)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, done=done)
        manager = tf.train.CheckpointManager(checkpoint, folder + "/loop", 1)
        if how == "resumed":
            checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        first = int(done)

        @tf.function
        def train_step(x, y):
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables))

        with kpk.Pruner(
            model, policy, steps_per_epoch=STEPS, epochs=EPOCHS, initial_step=first
        ) as pruner:
            for step in range(first, STEPS * EPOCHS):
                start = 16 * (step % STEPS)
                train_step(x[start : start + 16], y[start : start + 16])
                pruner.step()
                done.assign_add(1)
                if kill_at and step % 5 == 4:
                    manager.save()
                if step + 1 == kill_at:
                    kill()
        np.savez(folder + "/" + how, *model.get_weights(), first=first)

    train()
    if how == "whole":
        train(kill_at=22)
"""

FIT = """
    class Note(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            open(folder + "/epochs_done", "w").write(str(epoch + 1))

    class Kill(K.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 29:
                kill()

    def train(*callbacks):
        model, epochs_done = build(), 0
        model.compile(K.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        if how == "checkpoint":
            model = K.models.load_model(folder + "/model.keras")
            epochs_done = int(open(folder + "/epochs_done").read())
        history = model.fit(
            x, y, batch_size=16, initial_epoch=epochs_done, epochs=EPOCHS, verbose=0,
            shuffle=False, callbacks=[*callbacks, kpk.PruningCallback(policy)],
        )
        first = history.epoch[0] * STEPS
        np.savez(folder + "/" + how, *model.get_weights(), first=first)

    backup = K.callbacks.BackupAndRestore(folder + "/backup")
    train(*[backup] if how == "backup" else [])
    if how == "whole":
        checkpoint = K.callbacks.ModelCheckpoint(folder + "/model.keras")
        train(backup, checkpoint, Note(), Kill())
"""


def run(folder, world, body, how):
    script = textwrap.dedent(COMMON.format(world=world)) + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", script, folder, how],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow  # The same within a process: `check_cuts`.
@pytest.mark.parametrize(
    ("body", "ways"),
    [(LOOP, ["resumed"]), (FIT, ["backup", "checkpoint"])],
    ids=["loop", "fit"],
)
def test_killed_and_resumed_in_a_new_process(K, tmp_path, body, ways):
    """The first process trains to the end, then once more until it is killed."""
    killed = run(tmp_path, K.__name__, body, "whole")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole = np.load(tmp_path / "whole.npz")
    assert whole["first"] == 0
    assert (whole["arr_0"] == 0).sum() == round(0.8 * 128)
    for how in ways:
        ended = run(tmp_path, K.__name__, body, how)
        assert ended.returncode == 0, ended.stderr
        resumed = np.load(tmp_path / f"{how}.npz")
        assert 0 < resumed["first"] < 29
        for name in set(whole) - {"first"}:
            assert np.array_equal(resumed[name], whole[name]), (how, name)
