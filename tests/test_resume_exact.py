"""A run that is killed and resumed ends bit for bit where it would have ended."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

COMMON = """
    import os, signal, sys
    import numpy as np
    import {world} as K
    import tensorflow as tf
    import keras_prune_kit as kpk

    folder, kill_at = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    K.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    STEPS, EPOCHS = 8, 6

    def build():
        return K.Sequential([
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(8, activation="relu"),
            K.layers.Dense(2, activation="softmax"),
        ])

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    policy = {policy}
"""

LOOP = """
    SAVE_EVERY = 5
    model, optimizer = build(), {optimizer}
    optimizer.build(model.trainable_variables)
    loss_of = K.losses.SparseCategoricalCrossentropy()
    done = tf.Variable(0, trainable=False)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, done=done)
    manager = tf.train.CheckpointManager(checkpoint, folder + "/loop", 1)
    if manager.latest_checkpoint:
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
            if (step + 1) % SAVE_EVERY == 0:
                manager.save()
            if step + 1 == kill_at:
                kill()
    np.savez(folder + "/end.npz", *model.get_weights(), first=first)
"""

FIT = """
    class Kill(K.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == kill_at:
                kill()

    path, epochs_done = folder + "/model.keras", 0
    how = "{how}"
    if how == "checkpoint" and os.path.exists(path):
        model = K.models.load_model(path)
        epochs_done = int(open(folder + "/epochs").read())
    else:
        model = build()
        model.compile({optimizer}, "sparse_categorical_crossentropy")

    class Note(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            open(folder + "/epochs", "w").write(str(epoch + 1))

    saving = (
        [K.callbacks.BackupAndRestore(folder + "/backup")]
        if how == "backup"
        else [K.callbacks.ModelCheckpoint(path), Note()]
    )
    history = model.fit(
        x, y, batch_size=16, epochs=EPOCHS, initial_epoch=epochs_done, verbose=0,
        shuffle=False, callbacks=[*saving, kpk.PruningCallback(policy), Kill()],
    )
    first = history.epoch[0] * STEPS
    np.savez(folder + "/end.npz", *model.get_weights(), first=first)
"""

RAMP = "kpk.PrunePolicy(kpk.PolynomialDecay(0.1, 0.8, frequency=3))"


def run(folder, script, kill_at):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script, folder, str(kill_at)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )


def check_same_end(tmp_path, script, kill_at):
    killed = run(tmp_path / "killed", script, kill_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for name in ("killed", "whole"):
        ended = run(tmp_path / name, script, 10_000)
        assert ended.returncode == 0, ended.stderr
    with (
        np.load(tmp_path / "killed" / "end.npz") as resumed,
        np.load(tmp_path / "whole" / "end.npz") as whole,
    ):
        assert whole["first"] == 0
        assert 0 < resumed["first"] < kill_at
        names = [name for name in whole if name != "first"]
        assert (whole["arr_0"] == 0).sum() == round(0.8 * 128)
        for name in names:
            assert np.array_equal(resumed[name], whole[name]), name


def script_of(body, **parts):
    return textwrap.dedent(COMMON + body).format(**parts)


@pytest.mark.parametrize(
    ("world", "optimizer"),
    [("keras", "K.optimizers.AdamW(0.01)"), ("tf_keras", "K.optimizers.Adam(0.01)")],
)
def test_a_loop_of_ones_own(tmp_path, world, optimizer):
    script = script_of(LOOP, world=world, optimizer=optimizer, policy=RAMP)
    check_same_end(tmp_path, script, kill_at=22)


@pytest.mark.parametrize("how", ["backup", "checkpoint"])
@pytest.mark.parametrize("world", ["keras", "tf_keras"])
def test_fit(tmp_path, world, how):
    script = script_of(
        FIT, world=world, how=how, optimizer="K.optimizers.Adam(0.01)", policy=RAMP
    )
    check_same_end(tmp_path, script, kill_at=29)
