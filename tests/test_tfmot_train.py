"""Training wrapped models: in fit, in custom loops, and after a kill."""

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
import tf_keras as K

import keras_prune_kit as kpk


@pytest.fixture
def wrapped(data):
    model = models.nested(K)
    model.compile("adam", K.losses.SparseCategoricalCrossentropy(from_logits=True))
    return kpk.tfmot.wrap(model, 0.75, steps_per_epoch=8, epochs=2).model


def zeros_of(model):
    return [
        int((weight == 0).sum()) for weight in model.get_weights() if weight.ndim > 1
    ]


def test_forgotten_callbacks_are_an_error_before_the_first_step(wrapped, data):
    before = wrapped.get_weights()
    with pytest.raises(RuntimeError, match=r"callbacks=\[\*kpk.tfmot.callbacks\(\)\]"):
        wrapped.fit(*data, verbose=0)
    for old, new in zip(before, wrapped.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # And the same model trains once they are there.
    wrapped.fit(
        *data, batch_size=16, epochs=2, verbose=0, callbacks=kpk.tfmot.callbacks()
    )
    assert zeros_of(kpk.tfmot.strip(wrapped)) == [96, 36]


def test_a_run_that_is_too_short_warns(wrapped, data):
    with pytest.warns(
        kpk.IncompletePruningWarning, match=r"inside/kernel is at 0\.\d+ of 0.75 after"
    ):
        wrapped.fit(*data, batch_size=32, verbose=0, callbacks=kpk.tfmot.callbacks())


def test_summaries_are_written(wrapped, data, tmp_path):
    callbacks = kpk.tfmot.callbacks(tmp_path / "logs")
    wrapped.fit(*data, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    files = [os.fspath(path) for path in tmp_path.rglob("metrics/events*")]
    tags = {
        value.tag
        for path in files
        for event in tf.compat.v1.train.summary_iterator(path)
        for value in event.summary.value
    }
    assert any("mask" in tag and tag.endswith("/sparsity") for tag in tags)


def test_callbacks_need_a_wrapped_model(data):
    model = models.sequential(K)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="No layer of model .* is wrapped"):
        model.fit(*data, verbose=0, callbacks=kpk.tfmot.callbacks())


def test_callbacks_on_a_keras_3_model(data):
    model = models.sequential(keras)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="kpk.PruningCallback"):
        model.fit(*data, verbose=0, callbacks=kpk.tfmot.callbacks())


class Loop:
    """A custom training loop around a traced step."""

    def __init__(self, model, data):
        self.batches = tf.data.Dataset.from_tensor_slices(data).batch(16)
        self.model, self.optimizer = model, K.optimizers.Adam()
        self.loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.train_step = tf.function(self._train_step)

    def _train_step(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.loss(y, self.model(x, training=True))
        weights = self.model.trainable_variables
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )


def test_a_custom_loop(wrapped, data, tmp_path):
    loop = Loop(wrapped, data)
    with kpk.tfmot.LoopPruning(wrapped, tmp_path) as pruning:
        for _ in range(2):
            for x, y in loop.batches:
                loop.train_step(x, y)
                pruning.step()
            pruning.end_epoch()
    assert zeros_of(kpk.tfmot.strip(wrapped)) == [96, 36]
    assert list(tmp_path.rglob("metrics/events*"))
    with pytest.raises(RuntimeError, match=r"step\(\) comes between start\(\)"):
        pruning.step()


def test_a_custom_loop_that_is_too_short_warns(wrapped, data):
    loop, pruning = Loop(wrapped, data), kpk.tfmot.LoopPruning(wrapped)
    with pytest.raises(RuntimeError, match=r"end_epoch\(\) comes between"):
        pruning.end_epoch()
    pruning.start()
    loop.train_step(*next(iter(loop.batches)))
    pruning.step()
    with pytest.warns(kpk.IncompletePruningWarning, match="after 1 steps"):
        pruning.finish()


def test_a_step_without_training_is_noticed(wrapped, data):
    pruning = kpk.tfmot.LoopPruning(wrapped)
    pruning.start()
    wrapped(data[0])
    with pytest.raises(RuntimeError, match="training=True"):
        pruning.step()


def test_a_loop_without_pruning_is_an_error(wrapped, data):
    loop = Loop(wrapped, data)
    with pytest.raises(RuntimeError, match="kpk.tfmot.LoopPruning"):
        loop.train_step(*next(iter(loop.batches)))


def test_summaries_of_a_loop_need_an_optimizer(tmp_path):
    model = kpk.tfmot.wrap(models.nested(K), 0.5, steps_per_epoch=1).model
    with pytest.raises(ValueError, match="model.optimizer"):
        kpk.tfmot.LoopPruning(model, tmp_path)


@pytest.mark.parametrize("prune_bias", [False, True])
def test_prunable_dense(data, tmp_path, prune_bias):
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            kpk.tfmot.PrunableDense(16, prune_bias=prune_bias, name="own"),
            K.layers.Dense(3, activation="softmax"),
        ]
    )
    assert isinstance(model.layers[0], K.layers.Dense)
    paths = ["own/kernel"] + ["own/bias"] * prune_bias + ["dense/kernel"]
    wrapped, report = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=8, epochs=2)
    assert [item.path for item in report.weights][: len(paths) - 1] == paths[:-1]
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(
        *data, batch_size=16, epochs=2, verbose=0, callbacks=[kpk.PruningCallback(0.5)]
    )
    path = tmp_path / "own.keras"
    model.save(path)
    for load in K.models.load_model, kpk.tfmot.load:
        loaded = load(path)
        assert loaded.layers[0].prune_bias is prune_bias
        np.testing.assert_array_equal(loaded.layers[0].kernel, model.layers[0].kernel)
    assert (model.layers[0].kernel.numpy() == 0).mean() == 0.5
    assert (model.layers[0].bias.numpy() == 0).mean() == (0.5 if prune_bias else 0)
    wrapped.save(tmp_path / "wrapped.keras")
    assert zeros_of(kpk.tfmot.load(tmp_path / "wrapped.keras")) == zeros_of(wrapped)


def test_loading_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        kpk.tfmot.load(tmp_path / "none.keras")


SCRIPT = """
    import os, signal, sys
    import numpy as np
    import tf_keras as K
    import keras_prune_kit as kpk

    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")

    class SaveAndDie(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 10:
                self.model.save("saved.keras")
                os.kill(os.getpid(), signal.SIGKILL)

    def new():
        K.utils.set_random_seed(1)
        model = K.Sequential([
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(2, activation="softmax", name="classifier"),
        ])
        model.compile("adam", "sparse_categorical_crossentropy")
        rule = kpk.Rule("classifier", kpk.CosineDecay(0.0, 0.5))
        policy = kpk.PrunePolicy(0.75, rule)
        return kpk.tfmot.wrap(model, policy, steps_per_epoch=6, epochs=4).model

    def train(wrapped, *more):
        def batches():
            for step in range(int(wrapped.optimizer.iterations), 24):
                part = slice(step % 6 * 16, step % 6 * 16 + 16)
                yield x[part], y[part]
        wrapped.fit(batches(), verbose=0, callbacks=[*kpk.tfmot.callbacks(), *more])
        return kpk.tfmot.strip(wrapped).get_weights()

    if not os.path.exists("saved.keras"):
        train(new(), SaveAndDie())
    resumed, whole = train(kpk.tfmot.load("saved.keras")), train(new())
    print([np.array_equal(*pair) for pair in zip(resumed, whole)])
    print([int((weight == 0).sum()) for weight in resumed[::2]])
"""


@pytest.mark.slow
def test_killed_and_resumed_ends_at_the_same_weights(tmp_path):
    for code in (-signal.SIGKILL, 0):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT)],
            cwd=tmp_path,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ["[True, True, True, True]", "[96, 16]"]
